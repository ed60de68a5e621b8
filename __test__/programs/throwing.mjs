/**
 * Throws where a promise of the limiter goes on, and goes on itself.
 *
 * Argument: the URL of a Redis. Prints how often it was told of it, and who has decided.
 */

import { once } from 'node:events'

import { RateLimiter } from 'distributed-rate-limiter'

const [redisUrl] = process.argv.slice(2)
const limiter = new RateLimiter({ limit: 1_000, window: '1m', redisUrl, driver: 'loop', timeout: '10s' })

let uncaught = 0
process.on('uncaughtException', () => (uncaught += 1))

const sources = []
for (let call = 0; call < 10; call += 1) {
  const { source } = await limiter.check('a')
  sources.push(source)
  // Outside the promise, so that nobody can catch it.
  const thrown = once(process, 'uncaughtException')
  queueMicrotask(() => {
    throw new Error('as it was told to')
  })
  await thrown
}
console.log(`uncaught ${uncaught}, decided ${sources.length} by ${[...new Set(sources)]}`)
