/** Whether calls leave anything behind: the memory held after many calls, and after ten times as many. */

import { RateLimiter } from '../../index.mjs'
import { settledRss } from './rss.mjs'

const KEYS = 10_000

/** `pending` calls are always under way; both measurements are taken when none is. */
export async function measureCalls({ algorithm, redisUrl, pending, firstCalls, calls }) {
  const limiter = new RateLimiter({
    algorithm,
    limit: 100,
    window: '1m',
    // A call decided by the fallback would not have taken the way that is measured.
    ...(redisUrl && { redisUrl, onStoreError: 'throw', timeout: '5s' }),
  })
  await limiter.ready()

  await makeCalls(limiter, { calls: firstCalls, pending })
  const afterFirst = await settledRss()
  await makeCalls(limiter, { calls: calls - firstCalls, pending })
  const afterAll = await settledRss()

  await limiter.close()
  return { firstCalls, calls, afterFirst, afterAll, grownBytes: afterAll - afterFirst }
}

async function makeCalls(limiter, { calls, pending }) {
  let next = 0
  async function lane() {
    while (next < calls) {
      const call = next++
      const key = `user:${call % KEYS}`
      // Both faces: a promise of a boolean, and one of an object.
      await (call % 2 === 0 ? limiter.isAllowed(key) : limiter.check(key))
    }
  }
  await Promise.all(Array.from({ length: pending }, lane))
}
