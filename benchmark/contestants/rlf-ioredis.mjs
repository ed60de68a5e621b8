/** rate-limiter-flexible on Redis through ioredis. */

import { Redis } from 'ioredis'
import { RateLimiterRedis } from 'rate-limiter-flexible'
import { booleanConsume } from './rlf.mjs'

export async function open({ limit, windowMs, redisUrl }, options) {
  const client = new Redis(redisUrl)
  const limiter = new RateLimiterRedis({ storeClient: client, points: limit, duration: windowMs / 1000, ...options })
  await client.ping()

  return { isAllowed: booleanConsume(limiter), close: async () => client.disconnect() }
}
