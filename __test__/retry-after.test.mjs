/**
 * Of every algorithm and verb, on random schedules and a clock that the calls themselves move: whoever waits as long as a denial
 * says is allowed, and whoever waits a millisecond less is not. And at its `resetAt` a key is as good as new.
 */

import assert from 'node:assert/strict'
import { describe, test } from 'node:test'

import { RateLimiter } from 'distributed-rate-limiter'

import { assertDecision } from './support/decision.mjs'
import { atMost, isLong } from './support/long.mjs'

const SCHEDULES = isLong ? 2_000 : 100
const STEPS = 40

const burst = { extra: 3, window: 700 }
const limiters = {
  'sliding-window, exact': { limit: 7, window: 1_000 },
  'sliding-window, slots': { limit: 40, window: 1_000, resolution: 8 },
  'sliding-window, one slot': { limit: 5, window: 1_000, resolution: 1 },
  'sliding-window with a burst': { limit: 5, window: 1_000, burst },
  'sliding-window of microseconds': { limit: 3, window: 7.301 },
  'sliding-counter': { algorithm: 'sliding-counter', limit: 7, window: 1_000 },
  'sliding-counter, an odd window': { algorithm: 'sliding-counter', limit: 9, window: 90_001.003 },
  'sliding-counter with a burst': { algorithm: 'sliding-counter', limit: 5, window: 1_000, burst },
  'fixed-window': { algorithm: 'fixed-window', limit: 7, window: 1_000 },
  'fixed-window, aligned': { algorithm: 'fixed-window', limit: 7, window: 1_000, align: true },
  'fixed-window with a burst': { algorithm: 'fixed-window', limit: 5, window: 1_000, burst },
  'token-bucket': { algorithm: 'token-bucket', limit: 7, window: 1_000 },
  'token-bucket with a burst': { algorithm: 'token-bucket', limit: 7, window: 1_000, burst: 20 },
  'token-bucket, units within a millisecond': { algorithm: 'token-bucket', limit: 3_000, window: 1_000, burst: 10 },
  'leaky-bucket': { algorithm: 'leaky-bucket', limit: 7, window: 1_000 },
  'leaky-bucket, strict spacing': { algorithm: 'leaky-bucket', limit: 7, window: 1_000, burst: 0 },
  'several limits': {
    limits: [
      { name: 'burst', limit: 4, window: 300 },
      { name: 'bucket', limit: 9, window: 1_000, algorithm: 'token-bucket' },
      { name: 'minute', limit: 30, window: '1m', algorithm: 'sliding-counter' },
    ],
  },
}

/** Park and Miller's generator: whole numbers from 0 to below `end`, the same ones each time. */
function choices(seed) {
  let state = seed
  return (end) => {
    state = (state * 48_271) % 2_147_483_647
    return state % end
  }
}

/** The least capacity of what one call is decided by. */
function capacityOf({ limits, ...own }) {
  if (limits !== undefined) return Math.min(...limits.map(capacityOf))
  const { algorithm, limit, burst } = own
  if (algorithm === 'token-bucket') return burst ?? limit
  if (algorithm === 'leaky-bucket') return (burst ?? limit) + 1
  return limit + (burst?.extra ?? 0)
}

/** Something that is done to the key, and the call whose denial it may have answered with. */
function deeds(limiter, choice, capacity) {
  const cost = () => 1 + choice(capacity)
  const few = () => 1 + choice(Math.min(3, capacity))
  const one = { cost: 1 }
  const asked = (options, method = 'check') => ({
    again: options,
    answer: (timestamp) => limiter[method]('a', { ...options, timestamp }),
  })
  return [
    () => asked({ cost: few() }),
    () => asked({ cost: few() }),
    () => asked({ cost: cost() }),
    () => asked({ cost: cost() }, 'peek'),
    () => asked({ upTo: cost() }),
    () => {
      const units = few()
      return { again: one, answer: (timestamp) => limiter.refund('a', units, { timestamp }) }
    },
    () => {
      const units = cost()
      return { again: one, answer: (timestamp) => limiter.penalty('a', units, { timestamp }) }
    },
    () => {
      const length = 1 + choice(1_500)
      const answer = async (timestamp) => {
        // Seldom, or nothing else would be seen.
        if (length < 150) await limiter.block('a', length, { timestamp })
        return limiter.peek('a', { timestamp })
      }
      return { again: one, answer }
    },
  ]
}

describe('retryAfterMs', { timeout: atMost(120_000) }, () => {
  for (const [title, options] of Object.entries(limiters)) {
    test(title, async () => {
      const capacity = capacityOf(options)
      const pauses = [1, 20, 200, 1_500]
      let denials = 0
      for (let seed = 1; seed <= SCHEDULES; seed += 1) {
        const choice = choices(seed)
        const limiter = new RateLimiter({ ...options, clock: 'timestamps' })
        const all = deeds(limiter, choice, capacity)
        let now = 1_700_000_000_000 + choice(100_000)
        for (let step = 0; step < STEPS; step += 1) {
          now += choice(pauses[choice(pauses.length)])
          const { again, answer } = all[choice(all.length)]()
          const decision = assertDecision(await answer(now))
          const what = `schedule ${seed}, step ${step}: ${JSON.stringify(again)} was told ${JSON.stringify(decision)}`
          // One unit is all that a call of `upTo` waits for.
          const cost = again.cost ?? 1
          const peek = (timestamp) => limiter.peek('a', { cost, timestamp })

          const there = await limiter.peek('a', { timestamp: now })
          const resetAt = Math.max(...(there.limits ?? [there]).map((limit) => limit.resetAt))
          const fresh = await limiter.peek('a', { timestamp: Math.max(resetAt, now) })
          for (const { limit, remaining } of fresh.limits ?? [fresh]) assert.equal(remaining, limit, `new, ${what}`)

          if (decision.allowed) continue
          denials += 1
          const { retryAfterMs } = decision
          assert.equal((await peek(now + retryAfterMs)).allowed, true, `after the wait, ${what}`)
          assert.equal((await peek(now + retryAfterMs - 1)).allowed, false, `a millisecond before, ${what}`)
          if (choice(4) > 0) continue
          now += retryAfterMs
          assertDecision(await limiter.check('a', { ...again, timestamp: now }), { allowed: true })
        }
        await limiter.close()
      }
      assert.ok(denials > 2 * SCHEDULES, `${denials} denials were seen`)
    })
  }
})
