/** What our two contestants share: everything but the algorithm. */

import { RateLimiter } from '../../index.mjs'

export async function openOurs(algorithm, { limit, windowMs, others, redisUrl, knowsRefusals = false }) {
  const own = { limit, window: windowMs }
  const limits = others && [own, ...others.map(({ limit, windowMs }) => ({ limit, window: windowMs }))]
  const limiter = new RateLimiter({
    algorithm,
    ...(limits ? { limits: limits.map((each, index) => ({ name: `limit-${index}`, ...each })) } : own),
    // Only Redis's own decisions count: a call that the fallback would answer, perhaps faster, ends the run instead.
    ...(redisUrl && { redisUrl, onStoreError: 'throw' }),
    // Nor does a refusal count that is known already, but in the scenario that is about these.
    ...(redisUrl && !knowsRefusals && { denyCache: false }),
  })
  await limiter.ready()

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
