/** Express with ours, by its middleware. */

import { rateLimit } from '../../middleware/express.js'
import { serve } from './express.mjs'
import { openLimiter } from './ours.mjs'

export async function open(settings) {
  const limiter = await openLimiter(settings)
  const server = await serve((app) => app.use(rateLimit({ limiter, key: (req) => req.get('x-user-id') })))
  return { ...server, close: () => Promise.all([server.close(), limiter.close()]) }
}
