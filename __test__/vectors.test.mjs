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

/** The vectors' files. A policy that names its algorithm is one with a burst, which several can have. */
const FILES = ['sliding_window', 'sliding_counter', 'fixed_window', 'token_bucket', 'leaky_bucket', 'with_burst']

for (const file of FILES) {
  const vectors = JSON.parse(readFileSync(new URL(`./vectors/${file}.json`, import.meta.url), 'utf8'))
  describe(file, () => {
    let redis
    before(async () => {
      redis = await startRedis()
    })
    after(() => redis.stop())

    for (const { name, policy, steps } of vectors) {
      for (const store of ['memory', 'redis']) {
        test(`${store}: ${name}`, async () => {
          const options = stretched({ algorithm: file.replace('_', '-'), ...policy })
          const limiter = new RateLimiter({
            ...options,
            prefix: name,
            onStoreError: 'throw',
            denyCache: false,
            ...(store === 'redis' && { redisUrl: redis.url }),
          })
          await limiter.ready()
          const { limit: capacity } = await limiter.peek('key')
          await replay(limiter, firstMoment(steps, capacity), options.window / options.limit)
          await limiter.close()
        })
      }
    }
  })
}

/** The policy with windows so long that nothing, or next to nothing, comes back meanwhile. */
function stretched(policy) {
  if (typeof policy.burst === 'object') {
    return { ...policy, window: LONGEST_MS, burst: { ...policy.burst, window: LONGEST_MS } }
  }
  const places = policy.algorithm === 'leaky-bucket' ? policy.burst + 1 : (policy.burst ?? policy.limit)
  return { ...policy, window: Math.floor(LONGEST_MS * Math.min(1, policy.limit / places)) }
}

/** The steps before the clock of a vector is first moved, up to what is no call of the face: a booking beyond any patience,
 * a penalty of more than the limit, and "at least". */
function firstMoment(steps, capacity) {
  const isCall = ({ at, cost = 0, least = cost, reserve, penalize = 0 }) =>
    at === steps[0].at && !reserve && penalize <= capacity && (cost === 0 || least === cost || least === 1)
  const end = steps.findIndex((step) => !isCall(step))
  return end === -1 ? steps : steps.slice(0, end)
}

function call(limiter, { cost, least = cost, refund, penalize }) {
  if (refund !== undefined) return limiter.refund('key', refund)
  if (penalize !== undefined) return limiter.penalty('key', penalize)
  if (cost === 0) return limiter.peek('key', { cost: least })
  return limiter.check('key', least === cost ? { cost } : { upTo: cost })
}

async function replay(limiter, steps, msPerUnit) {
  const start = performance.now()
  for (const [index, step] of steps.entries()) {
    const decision = await call(limiter, step)
    const { expect } = step
    const what = `step ${index}: ${JSON.stringify(decision)}`
    assert.equal(decision.allowed, expect.allowed, what)
    assert.equal(decision.granted, expect.granted, what)
    // A bucket of 2^32 gets a unit back every 73 ms even so.
    const cameBack = decision.remaining - expect.remaining
    assert.ok(cameBack >= 0 && cameBack <= (performance.now() - start) / msPerUnit, what)
    assert.equal(decision.retryAfterMs === 0, expect.retryAfter === 0, what)
  }
}
