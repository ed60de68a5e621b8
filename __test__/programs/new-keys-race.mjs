/**
 * One of several processes that bring users from one source at the same time: half of them whom every process brings, each in
 * an order of its own, and half whom no other does. Waits at the barrier, has all of its calls in flight at once, and reports
 * whom it got in.
 *
 * Arguments: the limiter's options as JSON, the number of the process, how many users.
 */

import { RateLimiter } from 'distributed-rate-limiter'

import { race } from '../support/racer.mjs'

const [options, own, count] = process.argv.slice(2)

const users = Array.from({ length: Number(count) }, (_, index) =>
  index % 2 === 0 ? `all-${(index * (2 * Number(own) + 1)) % count}` : `${own}-${index}`,
)
const limiter = new RateLimiter(JSON.parse(options))
await race(limiter, async () => {
  const decisions = await Promise.all(users.map((user) => limiter.check({ user, ip: '::1' })))
  const admitted = users.filter((_, index) => decisions[index].allowed)
  return { admitted, sources: [...new Set(decisions.map(({ source }) => source))] }
})
