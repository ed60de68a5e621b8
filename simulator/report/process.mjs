/**
 * One of the real processes that the simulator is compared with: makes all calls of a period at once, period after period, and
 * reports what came of them.
 *
 * Arguments: the limiter's options, and the load, as JSON.
 */

import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'

import { RateLimiter } from 'distributed-rate-limiter'

const [options, load] = process.argv.slice(2).map((argument) => JSON.parse(argument))
const { keys, exponent, callsATick, periodMs, seconds } = load

const limiter = new RateLimiter(options)
await limiter.ready({ timeout: '30s' })
const draw = zipf(keys, exponent)
process.send('ready')
await once(process, 'message')

const told = { calls: 0, admitted: 0, leased: 0, known: 0, others: 0 }
const start = performance.now()
for (let tick = 1; tick <= (seconds * 1_000) / periodMs; tick += 1) {
  // Answered before the next ones are made: a machine that has no time for a while is not to make larger batches of them.
  await Promise.all(Array.from({ length: callsATick }, call))
  await sleep(start + tick * periodMs - performance.now())
}
process.send({ ...told, seconds: (performance.now() - start) / 1_000 })
await limiter.close()
process.disconnect()

async function call() {
  const { allowed, source } = await limiter.check(`k${draw()}`)
  told.calls += 1
  if (allowed) told.admitted += 1
  if (source === 'lease') told.leased += 1
  else if (source === 'deny-cache') told.known += 1
  else if (source !== 'redis') told.others += 1
}

/** A rank by Zipf's law, from a table. */
function zipf(keys, exponent) {
  const sums = []
  for (let rank = 1; rank <= keys; rank += 1) sums.push((sums.at(-1) ?? 0) + rank ** -exponent)
  return () => {
    const wanted = Math.random() * sums.at(-1)
    return sums.findIndex((sum) => wanted < sum) + 1
  }
}
