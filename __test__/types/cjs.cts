/** Type test: a CommonJS module's way to require, which must give the class and its types. It is compiled, never run. */

import limiting = require('distributed-rate-limiter')

const options: limiting.RateLimiterOptions = { limit: 100, window: '1m' }
const limiter: limiting.RateLimiter = new limiting.RateLimiter(options)
const decision: Promise<limiting.Decision> = limiter.check('user:1')

export = { limiter, decision }
