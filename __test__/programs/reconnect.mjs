/**
 * One of many processes that lose Redis and find it again: calls all the while, and does as it is told by messages.
 *
 * Argument: the limiter's options as JSON. Sends a message once Redis decides, and after each message that it gets; the
 * last one is its report.
 */

import { once } from 'node:events'

import { RateLimiter } from 'distributed-rate-limiter'

import { Model } from '../chaos/model.mjs'
import { startLoad } from '../support/load.mjs'
import { until } from '../support/wait.mjs'

const PATIENCE_MS = 60_000
const limiter = new RateLimiter(JSON.parse(process.argv[2]))
await limiter.ready({ timeout: PATIENCE_MS })

const model = new Model()
const load = startLoad(limiter, { callers: 5, pauseMs: 10, model })
const told = async (word) => {
  const [said] = await once(process, 'message')
  if (said !== word) throw new Error(`told '${said}' instead of '${word}'`)
}
const decided = (phase, source) => until(() => phase.sources[source] > 0, `${source} decided`, PATIENCE_MS)

await decided(load.now, 'redis')
process.send('calling')

await told('fault')
const during = load.phase('during')
process.send('ready')

await told('wait for the fallback')
await decided(during, 'fallback')
process.send('ready')

await told('mended')
const mended = performance.now()
await decided(load.phase('back'), 'redis')
const returnMs = performance.now() - mended
const phases = await load.stop()
await limiter.close()
process.send({
  unsettled: Object.values(phases).reduce((sum, { started, settled }) => sum + started - settled, 0),
  admitted: [...model.accounts].map(([key, { redis }]) => [key, redis]),
  violations: model.violations(),
  p99Ms: during.latencyOf(0.99),
  slowestMs: during.latencyOf(1),
  returnMs,
})
process.disconnect()
