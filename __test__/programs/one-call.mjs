/**
 * Makes a limiter, makes one call, and neither closes the limiter nor ends the process: that ends by itself.
 *
 * Arguments: the method, and the URL of a Redis where there is one. Prints how the call ended.
 */

import { RateLimiter } from 'distributed-rate-limiter'

const [method, redisUrl] = process.argv.slice(2)
const limiter = new RateLimiter({ limit: 5, window: '1d', redisUrl })

if (method === 'none') console.log('made')
else if (method === 'not-awaited') limiter.isAllowed('a').then((allowed) => console.log(`settled: ${allowed}`))
else if (method === 'ready') await limiter.ready({ timeout: 500 }).then(console.log, (error) => console.log(error.code))
else console.log(`settled: ${Boolean(await limiter[method]('a'))}`)
