/** Uses a limiter whose URL has a password, with whatever debug output the environment asks for, and prints all that it can. */

import { inspect } from 'node:util'

import { RateLimiter } from 'distributed-rate-limiter'

const { LIMITER_URL: redisUrl, LIMITER_SECRET: hashKeys } = process.env
const limiter = new RateLimiter({
  ...{ limit: 5, window: '1m', redisUrl, timeout: 50, onStoreError: 'throw', logger: console },
  hashKeys,
})
limiter.on('storeDown', (error) => console.log(inspect(error, { depth: Infinity, showHidden: true })))
console.log(await limiter.ready({ timeout: 300 }).catch((error) => error))
console.log(await limiter.check('somebody').catch((error) => error))
console.log(inspect(limiter, { depth: Infinity, showHidden: true }), JSON.stringify(limiter), limiter.stats())
await limiter.close()
