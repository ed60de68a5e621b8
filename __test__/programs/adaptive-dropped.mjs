/** Makes limiters that give way under load and drops them without `close()`. With `--expose-gc`. Prints `collected` once nearly all are gone. */

import { setTimeout as sleep } from 'node:timers/promises'

import { RateLimiter } from 'distributed-rate-limiter'

const COUNT = 30

let collected = 0
const registry = new FinalizationRegistry(() => (collected += 1))

async function makeAndDrop() {
  const limiter = new RateLimiter({ limit: 5, window: '1d', adaptive: { signals: ['eventLoopLag', 'cpu', 'latency'] } })
  registry.register(limiter)
  limiter.on('adaptive', () => {})
  await limiter.check('a')
}

await Promise.all(Array.from({ length: COUNT }, makeAndDrop))
// A last one or two may stay on the stack or in a register for as long as this program runs.
while (collected < COUNT - 2) {
  globalThis.gc()
  await sleep(20)
}
console.log('collected')
// One that nobody closes keeps no process alive.
globalThis.kept = new RateLimiter({ limit: 5, window: '1d', adaptive: {} })
