/** Takes a permit and a reservation, and comes to its end: neither keeps a process alive. */

import { ConcurrencyLimiter, RateLimiter } from 'distributed-rate-limiter'

const [redisUrl] = process.argv.slice(2)
const options = { redisUrl, prefix: 'left', timeout: '30s' }
const permit = await new ConcurrencyLimiter({ ...options, limit: 1 }).acquire('key')
const reservation = await new RateLimiter({ ...options, limit: 5, window: '1h' }).reserve('key', { cost: 2 })
console.log(permit.acquired, reservation.allowed)
