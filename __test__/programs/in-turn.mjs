/**
 * Makes calls, each when the one before is answered, while the loop waits for something else that does not come. Without it Node would
 * think that all is over after each answer, and go on for that reason.
 *
 * Arguments: the URL of a Redis, and the driver; `both` has a limiter of either. Prints who has decided.
 */

import { RateLimiter } from 'distributed-rate-limiter'

const [redisUrl, driver] = process.argv.slice(2)
const drivers = driver === 'both' ? ['loop', 'thread'] : [driver, driver]
const limiters = drivers.map(
  (driver) => new RateLimiter({ limit: 1_000, window: '1m', redisUrl, driver, timeout: '10s' }),
)

const other = setTimeout(() => process.exit(3), 50_000)
let sources
for (let call = 0; call < 20; call += 1) {
  sources = []
  for (const limiter of limiters) sources.push((await limiter.check('a')).source)
}
clearTimeout(other)
console.log(...sources)
