/** rate-limiter-flexible in this process's memory. */

import { RateLimiterMemory } from 'rate-limiter-flexible'
import { booleanConsume } from './rlf.mjs'

export async function open({ limit, windowMs }) {
  const limiter = new RateLimiterMemory({ points: limit, duration: windowMs / 1000 })

  return {
    isAllowed: booleanConsume(limiter),

    async countAllowed(keys) {
      let allowed = 0
      for (const key of keys) {
        try {
          await limiter.consume(key)
          allowed++
        } catch (refusal) {
          if (refusal instanceof Error) throw refusal
        }
      }
      return allowed
    },

    close: async () => {},
  }
}
