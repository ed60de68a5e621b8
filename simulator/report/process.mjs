/**
 * One of the real processes that the simulator is compared with: makes all calls of a period at once, as often as periods have
 * passed, and reports what came of them.
 *
 * Arguments: the limiter's options, and the load, as JSON.
 */

import { once } from 'node:events'

import { RateLimiter } from 'distributed-rate-limiter'

const [options, load] = process.argv.slice(2).map((argument) => JSON.parse(argument))
const { keys, exponent, callsATick, periodMs, seconds } = load

const limiter = new RateLimiter(options)
await limiter.ready({ timeout: '30s' })
const draw = zipf(keys, exponent)
process.send('ready')
await once(process, 'message')

const told = { calls: 0, admitted: 0, leased: 0, known: 0, others: 0 }
const pending = new Set()
const [start, ticks] = [performance.now(), (seconds * 1_000) / periodMs]
let done = 0
await new Promise((resolve) => {
  const timer = setInterval(() => {
    // Whoever is late catches up: the load is so many calls, and not so many as this machine finds time for.
    for (const due = Math.min(ticks, (performance.now() - start) / periodMs); done < due; done += 1) tick()
    if (done >= ticks) {
      clearInterval(timer)
      resolve()
    }
  }, 1)
})
await Promise.all(pending)
process.send({ ...told, seconds: (performance.now() - start) / 1_000 })
await limiter.close()
process.disconnect()

function tick() {
  for (let call = 0; call < callsATick; call += 1) {
    const answer = limiter.check(`k${draw()}`).then(({ allowed, source }) => {
      pending.delete(answer)
      told.calls += 1
      if (allowed) told.admitted += 1
      if (source === 'lease') told.leased += 1
      else if (source === 'deny-cache') told.known += 1
      else if (source !== 'redis') told.others += 1
    })
    pending.add(answer)
  }
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
