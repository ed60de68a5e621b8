/**
 * One of several processes that call under limits by user, by ip, and for all together, each call about a user and an ip of
 * its own choice. Waits at the barrier, has all of its calls in flight at once, and reports the units that it got of each key.
 *
 * Arguments: the limiter's options as JSON, the seed of its choices, the number of calls.
 */

import { RateLimiter } from 'distributed-rate-limiter'

import { race } from '../support/racer.mjs'

const [options, seed, calls] = process.argv.slice(2)

/** Park and Miller's generator: the same choices each time, from 0 to below `end`, the small ones more often. */
let state = Number(seed)
function choice(end) {
  state = (state * 48_271) % 2_147_483_647
  return Math.floor((state / 2_147_483_647) ** 2 * end)
}

const asked = Array.from({ length: Number(calls) }, () => ({
  key: { user: `u${choice(12)}`, ip: `i${choice(6)}` },
  cost: 1 + choice(3),
}))
const limiter = new RateLimiter(JSON.parse(options))
await race(limiter, async () => {
  const decisions = await Promise.all(asked.map(({ key, cost }) => limiter.check(key, { cost })))

  const units = { user: {}, ip: {}, all: { global: 0 } }
  const refusedBy = { user: 0, ip: 0, all: 0 }
  for (const [index, { key, cost }] of asked.entries()) {
    const { allowed, name, source } = decisions[index]
    if (source !== 'redis') throw new Error(`decided by ${source}`)
    if (allowed) {
      units.user[key.user] = (units.user[key.user] ?? 0) + cost
      units.ip[key.ip] = (units.ip[key.ip] ?? 0) + cost
      units.all.global += cost
    } else {
      refusedBy[name] += 1
    }
  }
  return { units, refusedBy }
})
