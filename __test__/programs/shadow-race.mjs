/** `shadow-race.mjs <options> <key> <calls>`: calls at once under a limit and its candidate; reports what was admitted, and counted. */

import { RateLimiter } from 'distributed-rate-limiter'

import { callsAtOnce, race } from '../support/racer.mjs'

const [options, key, calls] = process.argv.slice(2)
const limiter = new RateLimiter(JSON.parse(options))
await race(limiter, async () => {
  const { allowed } = await callsAtOnce(limiter, key, calls)
  return { allowed, ...limiter.stats().shadow.candidate }
})
await limiter.close()
