/**
 * One of several processes that call on one key at the same time: makes a limiter, waits at the barrier until it is told to
 * go, has all of its calls in flight at once, and reports what it got.
 *
 * Arguments: the limiter's options as JSON, the key, the number of calls.
 */

import { once } from 'node:events'

import { RateLimiter } from 'distributed-rate-limiter'

const [options, key, calls] = process.argv.slice(2)

const limiter = new RateLimiter(JSON.parse(options))
await limiter.ready({ timeout: '30s' })
process.send('ready')
await once(process, 'message')

const decisions = await Promise.all(Array.from({ length: Number(calls) }, () => limiter.check(key)))

const allowed = decisions.filter((decision) => decision.allowed).length
const sources = [...new Set(decisions.map((decision) => decision.source))]
process.send({ allowed, denied: decisions.length - allowed, sources })
process.disconnect()
