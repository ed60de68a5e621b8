/** A worker thread that calls without end, and says so once its first calls are under way. */

import { parentPort, workerData } from 'node:worker_threads'

import { RateLimiter } from 'distributed-rate-limiter'

const { redisUrl, driver, calls } = workerData
const shared = { limit: 1_000, window: '1m', redisUrl, driver }
const limiters = [
  new RateLimiter({ limit: 1_000, window: '1m' }),
  new RateLimiter(shared),
  new RateLimiter({ ...shared, algorithm: 'token-bucket', onStoreError: 'throw' }),
]

async function caller(limiter, key) {
  for (;;) {
    await limiter.check(key).catch(() => {})
    // Lets the loop turn where every answer is there at once.
    await new Promise(setImmediate)
  }
}

for (const limiter of limiters) {
  for (let index = 0; index < Number(calls ?? 20); index += 1) caller(limiter, `key-${index}`)
}
parentPort.postMessage('calling')
