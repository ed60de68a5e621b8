/**
 * Starts worker threads, and terminates each in the midst of its calls, while this thread goes on calling too.
 *
 * Arguments: how many, the URL of a Redis, and where they are said the driver and how many calls a thread has under way. Prints
 * how many were terminated.
 */

import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { Worker } from 'node:worker_threads'

import { RateLimiter } from 'distributed-rate-limiter'

const [count, redisUrl, driver, calls] = process.argv.slice(2)
const limiter = new RateLimiter({ limit: 1_000_000, window: '1d', redisUrl, driver })

/** Terminates a worker at once, or some milliseconds after its first calls: so each is met at another moment. */
async function startAndTerminate(index) {
  const worker = new Worker(new URL('./worker.mjs', import.meta.url), { workerData: { redisUrl, driver, calls } })
  const [said] = await once(worker, 'message')
  if (said !== 'calling') throw new Error(`a worker said ${said}`)
  await sleep(index % 10)
  const pending = limiter.isAllowed('main')
  await worker.terminate()
  if (typeof (await pending) !== 'boolean') throw new Error('a call of the main thread was lost')
}

/** At a time: threads that only wait for a processor to start on would show nothing more. */
const LANES = 50
let started = 0
async function lane() {
  while (started < Number(count)) {
    started += 1
    await startAndTerminate(started)
  }
}

await Promise.all(Array.from({ length: LANES }, lane))
console.log(`terminated ${count}`)
