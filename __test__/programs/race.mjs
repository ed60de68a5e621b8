/**
 * One of several processes that call on one key at the same time: makes a limiter, waits at the barrier until it is told to
 * go, has all of its calls in flight at once, and reports what it got.
 *
 * Arguments: the limiter's options as JSON, the key, the number of calls.
 */

import { RateLimiter } from 'distributed-rate-limiter'

import { callsAtOnce, race } from '../support/racer.mjs'

const [options, key, calls] = process.argv.slice(2)

const limiter = new RateLimiter(JSON.parse(options))
await race(limiter, () => callsAtOnce(limiter, key, calls))
