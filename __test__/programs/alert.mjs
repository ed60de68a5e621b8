/** Watches a limiter, and comes to its end all the same. */

import { RateLimiter } from 'distributed-rate-limiter'
import { alert } from 'distributed-rate-limiter/alert'

const limiter = new RateLimiter({ limit: 1, window: '1h' })
alert(limiter, { denyRate: { above: 0.5, over: '1m' }, onAlert: console.log })
await limiter.check('a')
