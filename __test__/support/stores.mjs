/** Limiters for one test, which share their counts with no other and are closed with it. */

import { RateLimiter } from 'distributed-rate-limiter'

let made = 0

/** A prefix that nobody else has. */
export function ownPrefix() {
  made += 1
  return `${process.pid}-${made}`
}

/** `make(t, options)`: a limiter of what `own()` gives and of `options`, which may have the prefix of another. */
export function maker(own) {
  return (t, options) => {
    // It has the time to answer, however busy the machine, and tells of every failure.
    const patient = { timeout: '30s', onStoreError: 'throw' }
    const limiter = new RateLimiter({ prefix: ownPrefix(), ...patient, ...own(), ...options })
    t.after(() => limiter.close())
    return limiter
  }
}

/** A maker for each store, by its name; `redis()` gives the server once it runs. */
export function makers(redis) {
  // What is known to be refused would not be asked for.
  return { memory: maker(() => ({})), redis: maker(() => ({ redisUrl: redis().url, denyCache: false })) }
}
