/**
 * The vectors of each algorithm through the whole limiter, in memory and on Redis. Rust and Lua replay them on a clock of
 * their own (src/tests/vectors.rs); here time is real, so each window is stretched until nothing comes back while the steps
 * of a vector's first moment are replayed.
 */

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { after, before, describe, test } from 'node:test'
import { RateLimiter } from 'distributed-rate-limiter'
import { startRedis } from '../scripts/redis.mjs'

const LONGEST_MS = 3_650 * 86_400_000

for (const [algorithm, file] of [
  ['sliding-window', 'sliding_window'],
  ['token-bucket', 'token_bucket'],
]) {
  const vectors = JSON.parse(readFileSync(new URL(`./vectors/${file}.json`, import.meta.url), 'utf8'))
  describe(algorithm, () => {
    let redis
    before(async () => {
      redis = await startRedis()
    })
    after(() => redis.stop())

    for (const { name, policy, steps } of vectors) {
      for (const store of ['memory', 'redis']) {
        test(`${store}: ${name}`, async () => {
          const { window: _, ...numbers } = policy
          const window = Math.floor(LONGEST_MS * Math.min(1, policy.limit / (policy.burst ?? policy.limit)))
          const limiter = new RateLimiter({
            ...numbers,
            algorithm,
            window,
            prefix: name,
            onStoreError: 'throw',
            ...(store === 'redis' && { redisUrl: redis.url }),
          })
          await limiter.ready()
          await replay(limiter, firstMoment(steps), window / policy.limit)
          await limiter.close()
        })
      }
    }
  })
}

/** The steps before the clock of a vector is first moved; "up to" and changes are no calls of this version. */
function firstMoment(steps) {
  const moved = steps.findIndex(({ at }) => at !== steps[0].at)
  const still = moved === -1 ? steps : steps.slice(0, moved)
  const other = still.findIndex(({ cost, least = cost }) => cost === undefined || (cost !== 0 && least !== cost))
  return other === -1 ? still : still.slice(0, other)
}

async function replay(limiter, steps, msPerUnit) {
  const start = performance.now()
  for (const [index, { cost, least, expect }] of steps.entries()) {
    const decision = cost === 0 ? await limiter.peek('key', { cost: least }) : await limiter.check('key', { cost })
    const what = `step ${index}: ${JSON.stringify(decision)}`
    assert.equal(decision.allowed, expect.allowed, what)
    // A bucket of 2^32 gets a unit back every 73 ms even so.
    const cameBack = decision.remaining - expect.remaining
    assert.ok(cameBack >= 0 && cameBack <= (performance.now() - start) / msPerUnit, what)
    assert.equal(decision.retryAfterMs === 0, expect.retryAfter === 0, what)
  }
}
