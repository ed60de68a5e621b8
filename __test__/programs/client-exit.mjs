/**
 * Makes a limiter on a client that answers nothing and keeps no process alive, and leaves both behind: the process ends by
 * itself, and a call that is awaited is settled before.
 *
 * Argument: what to do. Prints how it went.
 */

import { RateLimiter } from 'distributed-rate-limiter'

const [what] = process.argv.slice(2)

const never = () => new Promise(() => {})
const limiter = new RateLimiter({ limit: 5, window: '1d', redisClient: { evalsha: never, eval: never } })

if (what === 'nothing') console.log('made')
else if (what === 'call') console.log(`decided by ${(await limiter.check('a')).source}`)
else limiter.isAllowed('a').then((allowed) => console.log(`settled: ${allowed}`))
