/** Express with express-rate-limit, which counts in Redis by rate-limit-redis and ioredis. */

import { rateLimit } from 'express-rate-limit'
import { RedisStore } from 'rate-limit-redis'
import { openIoredis } from '../contestants/clients.mjs'
import { serve } from './express.mjs'

export async function open({ limit, windowMs, redisUrl }) {
  const { client, close } = await openIoredis(redisUrl, { auto: true })
  const store = new RedisStore({ sendCommand: (command, ...args) => client.call(command, ...args) })
  const limiter = rateLimit({
    limit,
    windowMs,
    store,
    // The same two headers as ours.
    standardHeaders: 'draft-7',
    legacyHeaders: false,
    keyGenerator: (req) => req.get('x-user-id'),
  })

  const server = await serve((app) => app.use(limiter))
  return { ...server, close: async () => (await server.close(), close()) }
}
