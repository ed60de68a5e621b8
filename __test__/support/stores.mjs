/** One limiter at a time on either store, which shares its counts with no other and is closed with its test. */

import { RateLimiter } from 'distributed-rate-limiter'

let made = 0

/** `make(t, options)` for each store, by its name; `redis()` gives the server once it runs. */
export function makers(redis) {
  const on = (own) => (t, options) => {
    made += 1
    const prefix = `${process.pid}-${made}`
    // It has the time to answer, however busy the machine, and tells of every failure.
    const limiter = new RateLimiter({ prefix, timeout: '30s', onStoreError: 'throw', ...own(), ...options })
    t.after(() => limiter.close())
    return limiter
  }
  // What is known to be refused would not be asked for.
  return { memory: on(() => ({})), redis: on(() => ({ redisUrl: redis().url, denyCache: false })) }
}
