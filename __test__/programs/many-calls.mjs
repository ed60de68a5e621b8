/**
 * Makes a great many calls, whatever happens to Redis meanwhile, and counts how each of them ended.
 *
 * Arguments: the limiter's options as JSON; how many calls. Sends a message once Redis decides, and its report when the last call
 * is settled or has had its time.
 */

import { setTimeout as sleep } from 'node:timers/promises'

import { RateLimiter } from 'distributed-rate-limiter'

import { Model } from '../chaos/model.mjs'

const CALLS_PER_SECOND = 50_000
/** How long after the last call was made the slowest may take to settle. */
const PATIENCE_MS = 10_000

const [options, calls] = process.argv.slice(2)
const limiter = new RateLimiter(JSON.parse(options))
const model = new Model()
const sources = { redis: 0, fallback: 0, 'deny-cache': 0 }
let [made, settled, rejected] = [0, 0, 0]

function call() {
  const key = model.nextKey()
  made += 1
  limiter.check(key).then(
    ({ allowed, source }) => {
      settled += 1
      sources[source] += 1
      model.decided(key, allowed, source)
    },
    () => {
      settled += 1
      rejected += 1
    },
  )
}

await limiter.ready({ timeout: '20s' })
process.send('calling')
const begun = performance.now()
while (made < calls) {
  const due = Math.min(calls, Math.ceil(((performance.now() - begun) / 1_000) * CALLS_PER_SECOND))
  while (made < due) call()
  await sleep(2)
}
for (const end = performance.now() + PATIENCE_MS; settled < made && performance.now() < end;) await sleep(20)
const callsPerSecond = made / ((performance.now() - begun) / 1_000)
await limiter.close()
process.send({ made, settled, rejected, sources, callsPerSecond, over: model.overAdmitted() })
process.disconnect()
