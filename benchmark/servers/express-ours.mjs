/** Express with ours, by a middleware of the application's own. */

import { serve } from './express.mjs'
import { openLimiter, standing } from './ours.mjs'

export async function open(settings) {
  const limiter = await openLimiter(settings)
  const policy = `"default";q=${settings.limit};w=${settings.windowMs / 1000}`

  const server = await serve((app) => {
    app.use(async (req, res, next) => {
      const decision = await limiter.check(req.get('x-user-id'))
      res.set('RateLimit-Policy', policy)
      res.set('RateLimit', standing(decision))
      if (decision.allowed) return next()
      res.set('Retry-After', `${decision.retryAfter}`).status(429).send('Too many requests')
    })
  })
  return { ...server, close: () => Promise.all([server.close(), limiter.close()]) }
}
