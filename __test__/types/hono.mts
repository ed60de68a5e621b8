/** Type test: the middleware for Hono, and Nest's interfaces, of packages that are ES modules alone. It is compiled, never run. */

import type { CanActivate } from '@nestjs/common'
import { Hono } from 'hono'
import { RateLimiter } from 'distributed-rate-limiter'
import { rateLimit, type HonoOptions } from 'distributed-rate-limiter/hono'
import { byAddress } from 'distributed-rate-limiter/keys'
import { RateLimitGuard } from 'distributed-rate-limiter/nest'

declare const limiter: RateLimiter

const options: Required<HonoOptions> = {
  limiter,
  key: byAddress(),
  cost: (context) => Number(context.req.query('units')),
  action: 'search',
  priority: 'low',
  skip: (context) => context.req.path === '/health',
  status: 429,
  headers: { legacy: true },
  message: 'slow down',
  countOnly: 'failed',
  queue: true,
  ipv6Prefix: 56,
  trustProxy: 1,
  onDenied: (context, decision) => context.json({ wait: decision.retryAfter }, 429),
}

const app = new Hono()
app.use(rateLimit(options))
app.use('/api/*', rateLimit({ limiter }))

export const guard: CanActivate = new RateLimitGuard({ limiter })

// @ts-expect-error: a response is needed
rateLimit({ limiter, onDenied: () => 'no' })
// @ts-expect-error: Hono has no setting of its own
rateLimit({ limiter, trustProxy: 'framework' })
