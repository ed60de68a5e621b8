/**
 * Makes limiters on clients of their own, uses each once, and drops both. With `--expose-gc`.
 *
 * Argument: how many. Prints `collected` once nearly all limiters and clients are gone.
 */

import { setTimeout as sleep } from 'node:timers/promises'

import { RateLimiter } from 'distributed-rate-limiter'

const count = Number(process.argv[2])

let collected = 0
const registry = new FinalizationRegistry(() => (collected += 1))

/** Nothing outside of this function holds limiter or client. */
async function makeAndDrop() {
  const client = {
    evalsha: async () => [Buffer.alloc(0)],
    eval: async () => [Buffer.alloc(0)],
  }
  const limiter = new RateLimiter({ limit: 5, window: '1d', redisClient: client })
  registry.register(limiter)
  registry.register(client)
  await limiter.ready()
  await limiter.check('a')
}

await Promise.all(Array.from({ length: count }, makeAndDrop))
// A last one or two of each may stay on the stack or in a register for as long as this program runs.
while (collected < 2 * count - 4) {
  globalThis.gc()
  await sleep(20)
}
console.log('collected')
