/**
 * One of several processes that call on one key all the time, while their limit is changed under them. It is told what to do by messages:
 *
 * - `{ update }`: changes the limit; answered by `{ updated: true }`
 * - `{ report: true }`: answered by `{ allowed, denied }` of the calls that were begun since the last report, once all of them are decided
 * - `{ end: true }`: leaves
 *
 * Arguments: the limiter's options as JSON, the key.
 */

import { RateLimiter } from 'distributed-rate-limiter'

const [options, key] = process.argv.slice(2)
const AT_ONCE = 8

const limiter = new RateLimiter(JSON.parse(options))
await limiter.ready({ timeout: '30s' })

let round = { allowed: 0, denied: 0, begun: 0, decided: 0 }
let isOver = false

async function work() {
  while (!isOver) {
    const own = round
    own.begun += 1
    const { allowed } = await limiter.check(key)
    own[allowed ? 'allowed' : 'denied'] += 1
    own.decided += 1
    own.told?.()
    // A refusal that is known is answered at once: others must have their turn.
    if (!allowed) await new Promise(setImmediate)
  }
}

/** Of the calls up to now; those that are still on their way are waited for. */
async function report() {
  const own = round
  round = { allowed: 0, denied: 0, begun: 0, decided: 0 }
  while (own.decided < own.begun) await new Promise((told) => (own.told = told))
  return { allowed: own.allowed, denied: own.denied }
}

process.on('message', async (message) => {
  if (message.update) {
    limiter.update(message.update)
    process.send({ updated: true })
  } else if (message.report) {
    process.send(await report())
  } else {
    isOver = true
    await limiter.close()
    process.disconnect()
  }
})
process.send('ready')
await Promise.all(Array.from({ length: AT_ONCE }, work))
