/** rate-limiter-flexible, on whichever store, in the common shape. */

import { RateLimiterRedis, RateLimiterUnion, RateLimiterValkeyGlide } from 'rate-limiter-flexible'
import { openGlide, openIoredis, openNodeRedis } from './clients.mjs'

/** `block`: whoever is known to have passed the limit is refused in this process (`inMemoryBlockOnConsumed`). */
export const onIoredis = (settings, { auto, block } = {}) => {
  const make = (client, options) => new RateLimiterRedis({ storeClient: client, ...options })
  return open(openIoredis(settings.redisUrl, { auto }), make, settings, block)
}

export const onNodeRedis = (settings) => {
  const make = (client, options) => new RateLimiterRedis({ storeClient: client, useRedisPackage: true, ...options })
  return open(openNodeRedis(settings.redisUrl), make, settings)
}

export const onGlide = (settings) => {
  const make = (client, options) => new RateLimiterValkeyGlide({ storeClient: alsoOnRedis(client), ...options })
  return open(openGlide(settings.redisUrl), make, settings)
}

/** One limiter, or where there are `others` a union, each of which is asked. */
async function open(opening, make, { limit, windowMs, others = [] }, block = false) {
  const { client, close } = await opening
  const limiters = [{ limit, windowMs }, ...others].map(({ limit, windowMs }, index) =>
    make(client, {
      keyPrefix: `limit-${index}`,
      points: limit,
      duration: windowMs / 1000,
      ...(block && { inMemoryBlockOnConsumed: limit }),
    }),
  )
  const limiter = limiters.length === 1 ? limiters[0] : whole(new RateLimiterUnion(...limiters))
  return { isAllowed: booleanConsume(limiter), close: async () => close() }
}

/** A union says no by an object of what its limiters said, also where one of them has failed. */
const whole = (union) => ({
  consume: (key) =>
    union.consume(key).catch((said) => {
      throw Object.values(said).find((each) => each instanceof Error) ?? said
    }),
})

/** It loads functions that call `server`, which is Valkey's name for what Redis, and Valkey as well, call `redis`. */
const alsoOnRedis = (client) => ({
  functionLoad: (code, options) => client.functionLoad(code.toString().replaceAll('server.', 'redis.'), options),
  fcall: (...args) => client.fcall(...args),
})

/** It says no by rejecting: with a result where the limit is spent, and with an Error where it failed. */
export function booleanConsume(limiter) {
  return (key) => limiter.consume(key).then(admitted, refused)
}

function admitted() {
  return true
}

function refused(reason) {
  if (reason instanceof Error) throw reason
  return false
}
