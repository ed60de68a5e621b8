/** Fastify with ours, by a hook of the application's own. */

import { serve } from './fastify.mjs'
import { openLimiter, standing } from './ours.mjs'

export async function open(settings) {
  const limiter = await openLimiter(settings)
  const policy = `"default";q=${settings.limit};w=${settings.windowMs / 1000}`

  const server = await serve((app) => {
    app.addHook('onRequest', async (request, reply) => {
      const decision = await limiter.check(request.headers['x-user-id'])
      reply.header('RateLimit-Policy', policy)
      reply.header('RateLimit', standing(decision))
      if (!decision.allowed) {
        return reply.code(429).header('Retry-After', `${decision.retryAfter}`).send('Too many requests')
      }
    })
  })
  return { ...server, close: () => Promise.all([server.close(), limiter.close()]) }
}
