/** What our contestants share: everything but the algorithm. */

import { RateLimiter } from '../../index.mjs'

/** Of those that take units ahead. */
export const LEASE = { max: 10_000, ttl: '200ms' }

export async function openOurs(
  algorithm,
  { limit, windowMs, others, redisUrl, maxMemory, lease, driver, knowsRefusals = false },
) {
  const named = ({ limit, windowMs }, index) => ({ name: `limit-${index}`, limit, window: windowMs })
  const limiter = new RateLimiter({
    algorithm,
    ...(others ? { limits: [{ limit, windowMs }, ...others].map(named) } : { limit, window: windowMs }),
    ...(maxMemory && { maxMemory }),
    ...(lease && { lease }),
    ...(driver && { driver }),
    // Only Redis's own decisions count: a call that the fallback would answer, perhaps faster, ends the run instead. And
    // as with the peers, a call that the machine kept waiting is no failure.
    ...(redisUrl && { redisUrl, onStoreError: 'throw', timeout: '10s' }),
    // Nor does a refusal count that is known already, but in the scenario that is about these.
    ...(redisUrl && !knowsRefusals && { denyCache: false }),
  })
  await limiter.ready({ timeout: '10s' })

  return {
    isAllowed: (key) => limiter.isAllowed(key),

    async countAllowed(keys) {
      let allowed = 0
      for (const key of keys) {
        if (await limiter.isAllowed(key)) allowed++
      }
      return allowed
    },

    close: () => limiter.close(),
  }
}
