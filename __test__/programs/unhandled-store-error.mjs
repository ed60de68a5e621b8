/** Forgets to handle a store's error, while somebody else waits for the same answer; prints the code that Node reports. */

import { subscribe } from 'node:diagnostics_channel'

import { RateLimiter } from 'distributed-rate-limiter'

process.once('unhandledRejection', ({ code }) => {
  console.log(code)
  process.exit()
})
subscribe('distributed-rate-limiter:store', ({ answer }) => answer.catch(() => {}))

// Nobody listens on port 1.
const limiter = new RateLimiter({ limit: 1, window: '1h', redisUrl: 'redis://127.0.0.1:1', onStoreError: 'throw' })
limiter.isAllowed('a')
