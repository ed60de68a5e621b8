/** A worker thread that calls without end, and says so once its first calls are under way. */

import { parentPort, workerData } from 'node:worker_threads'

import { RateLimiter } from 'distributed-rate-limiter'

const { redisUrl } = workerData
const limiters = [
  new RateLimiter({ limit: 1_000, window: '1m' }),
  new RateLimiter({ limit: 1_000, window: '1m', redisUrl }),
  new RateLimiter({ limit: 1_000, window: '1m', redisUrl, algorithm: 'token-bucket', onStoreError: 'throw' }),
]

async function caller(limiter, key) {
  for (;;) {
    await limiter.check(key).catch(() => {})
    // Lets the loop turn where every answer is there at once.
    await new Promise(setImmediate)
  }
}

for (const limiter of limiters) {
  for (let index = 0; index < 20; index += 1) caller(limiter, `key-${index}`)
}
parentPort.postMessage('calling')
