/**
 * Uses up a limit, waits until it is allowed again, and neither closes the limiter nor ends the process: that ends by itself.
 *
 * Arguments: the limiter's options as JSON. Prints what came of it.
 */

import { RateLimiter } from 'distributed-rate-limiter'

const limiter = new RateLimiter(JSON.parse(process.argv[2]))
for (let calls = 0; await limiter.isAllowed('a'); calls += 1) if (calls > 100) throw new Error('it is never used up')
const { allowed } = await limiter.acquire('a')
console.log(`waited: ${allowed}`)
