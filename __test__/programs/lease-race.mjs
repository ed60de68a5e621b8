/** `lease-race.mjs options key calls`: so many calls in flights of a hundred; then until what others hold must have come back. */

import { RateLimiter } from 'distributed-rate-limiter'

import { race } from '../support/racer.mjs'

const [options, key, count] = process.argv.slice(2)
const limiter = new RateLimiter(JSON.parse(options))

await race(limiter, async () => {
  let [calls, allowed, leased] = [0, 0, 0]
  while (calls < Number(count)) {
    const decisions = await Promise.all(Array.from({ length: 100 }, () => limiter.check(key)))
    calls += decisions.length
    for (const decision of decisions) {
      if (decision.allowed) allowed += 1
      if (decision.source === 'lease') leased += 1
    }
  }
  await limiter.close()
  return { calls, allowed, leased }
})
