/**
 * Makes limiters, uses each once, and drops them without `close()`. With `--expose-gc`.
 *
 * Arguments: how many, the URL of a Redis where there is one, and the driver where it is said. Prints `collected` once nearly all are gone, and once their
 * connections are.
 */

import { setTimeout as sleep } from 'node:timers/promises'

import { RateLimiter } from 'distributed-rate-limiter'

import { redisCommand } from '../../scripts/resp.mjs'

const [count, redisUrl, driver] = process.argv.slice(2)

let collected = 0
const registry = new FinalizationRegistry(() => (collected += 1))

/** Nothing outside of this function holds the limiter. */
async function makeAndDrop() {
  const limiter = new RateLimiter({ limit: 5, window: '1d', redisUrl, driver, timeout: '10s' })
  registry.register(limiter)
  limiter.on('storeUp', () => {})
  await limiter.check('a')
}

async function connections() {
  if (!redisUrl) return 0
  const clients = await redisCommand(new URL(redisUrl).port, 'CLIENT', 'LIST')
  return clients.trim().split('\n').length - 1
}

await Promise.all(Array.from({ length: Number(count) }, makeAndDrop))
// A last one or two may stay on the stack or in a register for as long as this program runs.
const most = Number(count) - 2
while (collected < most || (await connections()) > 2) {
  globalThis.gc()
  await sleep(20)
}
console.log('collected')
