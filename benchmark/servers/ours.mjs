/** Our limiter as both servers have it. */

import { RateLimiter } from '../../index.mjs'

export async function openLimiter({ limit, windowMs, redisUrl }) {
  // A decision that Redis did not make would be a request that the figures must not count.
  const limiter = new RateLimiter({ limit, window: windowMs, redisUrl, onStoreError: 'throw', timeout: '10s' })
  await limiter.ready({ timeout: '10s' })
  return limiter
}
