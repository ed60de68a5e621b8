/**
 * One of several instances that share a limit, on one key without a pause: from before Redis is lost until it has decided a
 * thousand calls in its place; or, `late`, one that begins when Redis is gone. Reports how many calls each source has admitted.
 *
 * Arguments: the limiter's options as JSON, the key, how many instances there are, and `late` for one that begins in an outage.
 */

import { once } from 'node:events'

import { RateLimiter } from 'distributed-rate-limiter'

import { until } from '../support/wait.mjs'

const CALLS = 1_000

const [options, key, instances, late] = process.argv.slice(2)
const limiter = new RateLimiter(JSON.parse(options))
const admitted = { redis: 0, fallback: 0 }
let decidedHere = 0

async function call() {
  const { allowed, source } = await limiter.check(key)
  if (allowed) admitted[source] += 1
  if (source === 'fallback') decidedHere += 1
}

if (late !== 'late') {
  await limiter.ready({ timeout: '30s' })
  await until(() => limiter.stats().fleet === Number(instances), `${instances} instances are known`, 30_000)
  process.send('ready')
  await once(process, 'message')
}
let isUnderLoad = false
while (decidedHere < CALLS) {
  await Promise.all(Array.from({ length: 20 }, call))
  if (!isUnderLoad) process.send('under load')
  isUnderLoad = true
}
process.send({ ...admitted, fleet: limiter.stats().fleet })
await limiter.close()
process.disconnect()
