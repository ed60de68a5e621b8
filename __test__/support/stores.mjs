/** Limiters for one test, which share their counts with no other and are closed with it. */

import { RateLimiter } from 'distributed-rate-limiter'

let made = 0

/** A prefix that nobody else has. */
export function ownPrefix() {
  made += 1
  return `${process.pid}-${made}`
}

/** A limiter of these options, which is closed with its test. */
export function limiterOf(t, options, Limiter = RateLimiter) {
  const limiter = new Limiter(options)
  t.after(() => limiter.close())
  return limiter
}

/** One that lets a call an hour through, unless the options say otherwise. */
export const hourly = (t, options) => limiterOf(t, { limit: 1, window: '1h', ...options })

/** `make(t, options)`: a limiter of what `own()` gives and of `options`, which may have the prefix of another. */
export function maker(own) {
  return (t, options) => {
    // It has the time to answer, however busy the machine, and tells of every failure.
    const patient = { timeout: '30s', onStoreError: 'throw' }
    return limiterOf(t, { prefix: ownPrefix(), ...patient, ...own(), ...options })
  }
}

/** A maker for each store, by its name; `redis()` gives the server once it runs. */
export function makers(redis) {
  // What is known to be refused would not be asked for.
  return { memory: maker(() => ({})), redis: maker(() => ({ redisUrl: redis().url, denyCache: false })) }
}

/** The same options on each store, by its name: the process's memory, Redis, and where there is one the memory of all processes. */
export function onEach(redis) {
  const stores = {
    memory: (options) => options,
    redis: (options) => ({
      ...{ redisUrl: redis().url, prefix: ownPrefix(), timeout: '10s', onStoreError: 'throw' },
      ...options,
    }),
  }
  if (process.platform === 'linux') {
    stores.shared = (options) => ({ ...options, shared: `test-${ownPrefix()}`, maxMemory: '1mb' })
  }
  return stores
}
