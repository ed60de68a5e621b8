/**
 * Leaves with `process.exit` in the midst of many calls.
 *
 * Arguments: the exit code, the milliseconds after which to leave, and the URL of a Redis where there is one.
 */

import { RateLimiter } from 'distributed-rate-limiter'

const [code, after, redisUrl] = process.argv.slice(2)
const limiter = new RateLimiter({ limit: 5, window: '1d', redisUrl })

for (let index = 0; index < 1_000; index += 1) limiter.check(`key-${index}`)
if (after === '0') process.exit(Number(code))
setTimeout(() => process.exit(Number(code)), Number(after))
