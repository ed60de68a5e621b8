/**
 * One of several processes whose callers all wait for one key. Waits at the barrier, then has all of them wait at once, and
 * reports of each, in the order in which they came: its place in the order of passing, when it passed and when its key will be
 * as good as new, in epoch milliseconds, and how long it waited.
 *
 * Arguments: the limiter's options as JSON, the key, the number of callers.
 */

import { RateLimiter } from 'distributed-rate-limiter'

import { race } from '../support/racer.mjs'

const [options, key, callers] = process.argv.slice(2)

const limiter = new RateLimiter(JSON.parse(options))

let passed = 0
async function caller() {
  const from = performance.now()
  const { allowed, granted, source, resetAt } = await limiter.acquire(key)
  passed += 1
  return { place: passed, allowed, granted, source, at: Date.now(), resetAt, waited: performance.now() - from }
}
await race(limiter, () => Promise.all(Array.from({ length: Number(callers) }, caller)))
