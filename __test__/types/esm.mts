/** Type test: an ES module's ways to import, which must all give the one class. It is compiled, never run. */

import { RateLimiter, type Decision, type RateLimiterOptions } from 'distributed-rate-limiter'
import * as everything from 'distributed-rate-limiter'
// @ts-expect-error: no such export
import { RateLimitr } from 'distributed-rate-limiter'

const options: RateLimiterOptions = { limit: 100, window: '1m' }

export const limiter: everything.RateLimiter = new RateLimiter(options)
export const another: RateLimiter = new everything.RateLimiter(options)
export const decision: Promise<Decision> = limiter.check('user:1')
export const loadedLater: Promise<typeof RateLimiter> = import('distributed-rate-limiter').then(
  (loaded) => loaded.RateLimiter,
)
