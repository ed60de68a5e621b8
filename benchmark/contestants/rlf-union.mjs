/** Several of rate-limiter-flexible's limiters, each of which is asked; who passed one of them is charged there whatever the others say. */

import { Redis } from 'ioredis'
import { RateLimiterRedis, RateLimiterUnion } from 'rate-limiter-flexible'
import { booleanConsume } from './rlf.mjs'

/** A union says no by an object of what its limiters said, also where one of them has failed. */
const whole = (union) => ({
  consume: (key) =>
    union.consume(key).catch((said) => {
      throw Object.values(said).find((each) => each instanceof Error) ?? said
    }),
})

export async function open({ limit, windowMs, others, redisUrl }) {
  const client = new Redis(redisUrl)
  const limiters = [{ limit, windowMs }, ...others].map(({ limit, windowMs }, index) => {
    const keyPrefix = `limit-${index}`
    return new RateLimiterRedis({ storeClient: client, keyPrefix, points: limit, duration: windowMs / 1000 })
  })
  await client.ping()

  return {
    isAllowed: booleanConsume(whole(new RateLimiterUnion(...limiters))),
    close: async () => client.disconnect(),
  }
}
