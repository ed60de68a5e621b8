/** rate-limiter-flexible on Redis through node-redis. */

import { RateLimiterRedis } from 'rate-limiter-flexible'
import { createClient } from 'redis'
import { booleanConsume } from './rlf.mjs'

export async function open({ limit, windowMs, redisUrl }) {
  const client = createClient({ url: redisUrl })
  // Without a listener a lost connection would end the process; the call in flight rejects and ends the run anyway.
  client.on('error', () => {})
  await client.connect()
  const limiter = new RateLimiterRedis({
    storeClient: client,
    useRedisPackage: true,
    points: limit,
    duration: windowMs / 1000,
  })

  return { isAllowed: booleanConsume(limiter), close: async () => client.destroy() }
}
