/** Loads the limiter where that may be forbidden, and says what came of it. */

import { createRequire } from 'node:module'

try {
  const { RateLimiter } = createRequire(import.meta.url)('distributed-rate-limiter')
  const limiter = new RateLimiter({ limit: 1, window: '1m' })
  console.log((await limiter.isAllowed('somebody')) ? 'allowed' : 'denied')
} catch (error) {
  console.log(`${error.code} ${error.name}: ${error.message}`)
}
