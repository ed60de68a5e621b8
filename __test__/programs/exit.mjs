/**
 * Leaves with `process.exit` in the midst of many calls, or comes to its end when they are answered.
 *
 * Arguments: the exit code; the milliseconds after which to leave, or `never`; the URL of a Redis where there is one; the driver
 * where it is said.
 */

import { RateLimiter } from 'distributed-rate-limiter'

const [code, after, redisUrl, driver] = process.argv.slice(2)
const limiter = new RateLimiter({ limit: 5, window: '1d', redisUrl, driver })

for (let index = 0; index < 1_000; index += 1) limiter.check(`key-${index}`)
if (after === '0') process.exit(Number(code))
if (after === 'never') process.exitCode = Number(code)
else setTimeout(() => process.exit(Number(code)), Number(after))
