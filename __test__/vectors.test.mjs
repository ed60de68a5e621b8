/**
 * The vectors of each algorithm through the whole limiter, in memory and on Redis. Rust and Lua replay them on a clock of
 * their own (src/tests/vectors.rs); here time is real, so each window is stretched until nothing comes back while the steps
 * of a vector's first moment are replayed.
 */

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { after, before, describe, test } from 'node:test'
import { ConcurrencyLimiter, RateLimiter } from 'distributed-rate-limiter'
import { startRedis } from '../scripts/redis.mjs'

const LONGEST_MS = 3_650 * 86_400_000

/** Of two zones one is hours from midnight. */
const TIME_ZONE = new Date().getUTCHours() < 12 ? 'UTC' : 'Pacific/Kiritimati'

/** The vectors' files. A policy that names its algorithm is one with a burst or with holds, which several can have. */
const FILES = [
  ...['sliding_window', 'sliding_counter', 'fixed_window', 'calendar', 'token_bucket', 'leaky_bucket', 'with_burst'],
  ...['holds', 'concurrency'],
]

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
          const { Limiter, ...options } = stretched({ algorithm: file.replace('_', '-'), ...policy })
          const limiter = new Limiter({
            ...options,
            prefix: name,
            onStoreError: 'throw',
            ...(store === 'redis' && { redisUrl: redis.url }),
          })
          await limiter.ready()
          const { limit: capacity } = await limiter.peek('key')
          // Of what has no length nothing comes back.
          const msPerUnit = typeof options.window === 'number' ? options.window / options.limit : Infinity
          await replay(limiter, firstMoment(steps, capacity), msPerUnit)
          await limiter.close()
        })
      }
    }
  })
}

/** The policy with windows so long that nothing, or next to nothing, comes back meanwhile; and the class that has such limits. */
function stretched({ algorithm, ...policy }) {
  if (algorithm === 'concurrency') return { Limiter: ConcurrencyLimiter, ...policy }
  const kind = { Limiter: RateLimiter, denyCache: false }
  if (algorithm === 'calendar') {
    return { ...kind, limit: policy.limit, window: { calendar: policy.calendar, timeZone: TIME_ZONE } }
  }
  if (typeof policy.burst === 'object') {
    return { ...kind, ...policy, algorithm, window: LONGEST_MS, burst: { ...policy.burst, window: LONGEST_MS } }
  }
  const places = algorithm === 'leaky-bucket' ? policy.burst + 1 : (policy.burst ?? policy.limit)
  return { ...kind, ...policy, algorithm, window: Math.floor(LONGEST_MS * Math.min(1, policy.limit / places)) }
}

/** The steps before the clock of a vector is first moved, up to what is no call of the face: a booking beyond any patience,
 * a penalty of more than the limit, "at least", and a renewal, which a permit does by itself. */
function firstMoment(steps, capacity) {
  const isCall = ({ at, cost = 0, least = cost, reserve, penalize = 0, renew }) =>
    at === steps[0].at && !reserve && !renew && penalize <= capacity && (cost === 0 || least === cost || least === 1)
  const end = steps.findIndex((step) => !isCall(step))
  return end === -1 ? steps : steps.slice(0, end)
}

/** `held` are the reservations and permits that there are, by when they end in the vector. */
function call(limiter, held, step) {
  const { cost, least = cost, refund, penalize, hold, settle } = step
  if (hold !== undefined) return keepBack(limiter, held, step)
  if (settle !== undefined) return end(limiter, held, step)
  if (refund !== undefined) return limiter.refund('key', refund)
  if (penalize !== undefined) return limiter.penalty('key', penalize)
  if (cost === 0) return limiter.peek('key', { cost: least })
  return limiter.check('key', least === cost ? { cost } : { upTo: cost })
}

async function keepBack(limiter, held, { hold: cost, expect }) {
  if (limiter instanceof RateLimiter) {
    const reservation = await limiter.reserve('key', { cost, ttl: '1h' })
    held.set(expect.ends, reservation)
    return reservation
  }
  const permit = await limiter.acquire('key', { cost })
  held.set(expect.ends, permit)
  const { acquired: allowed, remaining, retryAfterMs } = permit
  return { allowed, granted: allowed ? cost : 0, remaining, retryAfterMs }
}

async function end(limiter, held, { settle, of }) {
  if (limiter instanceof RateLimiter) return held.get(of).settle(settle)
  await held.get(of).release()
  return limiter.peek('key')
}

async function replay(limiter, steps, msPerUnit) {
  const start = performance.now()
  const held = new Map()
  for (const [index, step] of steps.entries()) {
    const decision = await call(limiter, held, step)
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
