/** Fastify with ours, by its plugin. */

import { rateLimit } from '../../middleware/fastify.js'
import { serve } from './fastify.mjs'
import { openLimiter } from './ours.mjs'

export async function open(settings) {
  const limiter = await openLimiter(settings)
  const key = (request) => request.headers['x-user-id']
  const server = await serve((app) => app.register(rateLimit, { limiter, key }))
  return { ...server, close: () => Promise.all([server.close(), limiter.close()]) }
}
