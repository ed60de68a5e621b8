/** Fastify with @fastify/rate-limit, which counts in Redis through ioredis. */

import rateLimit from '@fastify/rate-limit'
import { openIoredis } from '../contestants/clients.mjs'
import { serve } from './fastify.mjs'

export async function open({ limit, windowMs, redisUrl }) {
  const { client, close } = await openIoredis(redisUrl, { auto: true })
  const server = await serve((app) =>
    app.register(rateLimit, {
      max: limit,
      timeWindow: windowMs,
      redis: client,
      keyGenerator: (request) => request.headers['x-user-id'],
    }),
  )
  return { ...server, close: async () => (await server.close(), close()) }
}
