/** A permit's heartbeat, and the line of those who wait for one: by a clock and a store that the test moves by hand where it can. */

import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import { after, before, describe, test } from 'node:test'

import { ConcurrencyLimiter, RateLimiter } from 'distributed-rate-limiter'

import { startRedis } from '../scripts/redis.mjs'
import { atMost } from './support/long.mjs'
import { rejectionOf } from './support/refusal.mjs'
import { ownPrefix } from './support/stores.mjs'
import { settles, until } from './support/wait.mjs'

const require = createRequire(import.meta.url)
const { Permit } = require('../lib/permit.js')

const TTL = 900
const BEAT = TTL / 3

/** Lets everything happen that needs no time. */
const turn = () => new Promise((resolve) => setImmediate(resolve))

/**
 * A permit that was granted at 0 and is here at `now`, over a store whose answers the test gives: `renewals` are its questions, each with
 * the end that it names and `answer`; `settled` the ends that were settled; `ended` says how often its limiter has heard that it is over.
 */
function permitOf(t, { booked = 1_000_000, source = 'redis', arrivedAt = 0 } = {}) {
  let now = arrivedAt
  t.mock.timers.enable({ apis: ['setInterval', 'setTimeout'] })
  t.mock.method(performance, 'now', () => now)
  const seen = { renewals: [], settled: [], ended: 0 }
  const holds = {
    renew: (key, ttl, { ends }) =>
      new Promise((resolve, reject) => seen.renewals.push({ ends, answer: resolve, fail: reject })),
    settle: async (key, units, { ends }) => void seen.settled.push(ends),
  }
  const decision = { allowed: true, limit: 1, remaining: 0, retryAfterMs: 0, retryAfter: 0, source, booked }
  seen.permit = new Permit(holds, 'a', TTL, 0, decision, () => (seen.ended += 1))
  seen.pass = (ms) => {
    now += ms
    t.mock.timers.tick(ms)
  }
  return seen
}

describe('a heartbeat', () => {
  test('asks again only when it was answered', async (t) => {
    const seen = permitOf(t)
    seen.pass(BEAT)
    seen.pass(BEAT)
    assert.equal(seen.renewals.length, 1, 'the first is under way')
    seen.renewals[0].answer({ booked: 2_000_000, source: 'redis' })
    await turn()
    seen.pass(BEAT)
    assert.deepEqual(
      seen.renewals.map(({ ends }) => ends),
      [1_000_000, 2_000_000],
    )
    assert.equal(seen.permit.expiresAt, 2_000)
  })

  test('that is under way when the permit is released gives it another end, by which it is released', async (t) => {
    const seen = permitOf(t)
    seen.pass(BEAT)
    const released = seen.permit.release()
    await turn()
    assert.deepEqual(seen.settled, [])
    seen.renewals[0].answer({ booked: 2_000_000, source: 'redis' })
    await released
    assert.deepEqual(seen.settled, [2_000_000])
    seen.pass(10 * TTL)
    assert.deepEqual([seen.renewals.length, seen.ended, seen.permit.signal.aborted], [1, 1, false])
  })

  test('that finds nothing after the release loses nothing', async (t) => {
    const seen = permitOf(t)
    seen.pass(BEAT)
    const released = seen.permit.release()
    seen.renewals[0].answer({ booked: 0, source: 'redis' })
    await released
    assert.deepEqual([seen.permit.signal.aborted, seen.ended], [false, 1])
  })

  test('that fails changes nothing until the end comes, which counts from before the store was asked', async (t) => {
    const seen = permitOf(t, { arrivedAt: 400 })
    seen.pass(BEAT)
    seen.renewals[0].fail(new Error('nobody answers'))
    await turn()
    seen.pass(TTL - 400 - BEAT - 1)
    assert.equal(seen.permit.signal.aborted, false)
    seen.pass(1)
    assert.match(seen.permit.signal.reason.message, /renewed in time/)
    assert.equal(seen.ended, 1)
  })

  test('ends with a permit that is lost, of which nothing is released', async (t) => {
    const seen = permitOf(t)
    seen.pass(BEAT)
    seen.renewals[0].answer({ booked: 0, source: 'redis' })
    await turn()
    assert.match(seen.permit.signal.reason.message, /reset/)
    seen.pass(10 * TTL)
    await seen.permit.release()
    assert.deepEqual([seen.renewals.length, seen.settled, seen.ended], [1, [], 1])
  })

  test('that the fallback answers says nothing of what Redis has granted, and all of what it has granted itself', async (t) => {
    const seen = permitOf(t)
    seen.pass(BEAT)
    seen.renewals[0].answer({ booked: 0, source: 'fallback' })
    await turn()
    assert.equal(seen.permit.signal.aborted, false)
    t.mock.timers.reset()
    const here = permitOf(t, { source: 'fallback' })
    here.pass(BEAT)
    here.renewals[0].answer({ booked: 0, source: 'fallback' })
    await turn()
    assert.equal(here.permit.signal.aborted, true)
  })

  test('is none where nothing is held', async (t) => {
    const seen = permitOf(t, { booked: 0 })
    assert.deepEqual([seen.permit.acquired, seen.permit.isHeld], [true, false])
    seen.pass(10 * TTL)
    await seen.permit.release()
    assert.deepEqual([seen.renewals.length, seen.settled, seen.permit.signal.aborted], [0, [], false])
  })
})

describe('acquire', { timeout: atMost(60_000) }, () => {
  let redis
  before(async () => {
    redis = await startRedis()
  })
  after(() => redis?.stop())

  function make(t, options) {
    const limiter = new ConcurrencyLimiter({ prefix: ownPrefix(), timeout: '30s', onStoreError: 'throw', ...options })
    t.after(() => limiter.close())
    return limiter
  }

  /** Two that share what they hold. */
  function pair(t, options) {
    const shared = { redisUrl: redis.url, prefix: ownPrefix(), limit: 1, ttl: '1h', ...options }
    return [make(t, shared), make(t, shared)]
  }

  test('asks once where nobody is to wait, and not at all where the caller has given up', async (t) => {
    const limiter = make(t, { limit: 1 })
    await limiter.acquire('a')
    assert.equal((await limiter.acquire('a')).acquired, false)
    assert.equal(limiter.stats().denied, 1)
    const signal = AbortSignal.abort(new Error('no more'))
    assert.match((await rejectionOf(() => limiter.acquire('b', { signal }), 'it')).message, /no more/)
    assert.equal(limiter.stats().allowed, 1)
  })

  test('leaves nothing held for somebody who gives up meanwhile', async (t) => {
    const limiter = make(t, { limit: 1 })
    const gaveUp = new AbortController()
    const refused = rejectionOf(() => limiter.acquire('a', { signal: gaveUp.signal }), 'it')
    gaveUp.abort(new Error('no more'))
    assert.match((await refused).message, /no more/)
    assert.equal((await limiter.peek('a')).remaining, 1)
    assert.equal(limiter.stats().held, 0)
  })

  test('hears within moments that another process has let go, also behind one who gave up', async (t) => {
    const [one, other] = pair(t)
    const held = await other.acquire('a')
    const gaveUp = new AbortController()
    const first = rejectionOf(() => one.acquire('a', { maxWait: '1h', signal: gaveUp.signal }), 'the first')
    await until(() => one.stats().waiting === 1, 'the first waits')
    const second = one.acquire('a', { maxWait: '1h' })
    await until(() => one.stats().waiting === 2, 'the second waits')
    gaveUp.abort(new Error('no more'))
    await first
    await held.release()
    assert.equal((await settles(second, 'the second')).acquired, true)
  })

  test('asks more and more seldom while it waits, and at once when somebody here lets go', async (t) => {
    t.mock.timers.enable({ apis: ['setTimeout'] })
    // Loaded anew, so that its timers are those of the test.
    const path = require.resolve('../lib/concurrency-limiter.js')
    delete require.cache[path]
    const limiter = new (require(path).ConcurrencyLimiter)({ limit: 1 })
    t.after(() => limiter.close())
    const held = await limiter.acquire('a')
    const waiting = limiter.acquire('a', { maxWait: '1h' })
    await turn()
    const before = limiter.stats().denied
    for (const [index, ms] of [5, 10, 20, 40, 80, 100, 100].entries()) {
      t.mock.timers.tick(ms - 1)
      await turn()
      assert.equal(limiter.stats().denied, before + index, `before the ${ms} ms are over`)
      t.mock.timers.tick(1)
      await turn()
      assert.equal(limiter.stats().denied, before + index + 1, `after ${ms} ms`)
    }
    await held.release()
    assert.equal((await settles(waiting, 'who waits')).acquired, true)
  })

  test('lets nobody pass those who wait, whoever lets go', async (t) => {
    const [one, other] = pair(t)
    const held = await other.acquire('a')
    const served = []
    const waits = async (name) => {
      const permit = await one.acquire('a', { maxWait: '1h' })
      served.push(name)
      await permit.release()
    }
    const first = waits('first')
    // By then it asks so seldom that somebody else could come between.
    await until(() => one.stats().denied >= 8, 'it has asked often')
    await held.release()
    await settles(Promise.all([first, waits('second')]), 'both')
    assert.deepEqual(served, ['first', 'second'])
  })

  test('waits with timers that there are', async (t) => {
    const warnings = []
    const heard = (warning) => warnings.push(warning.name)
    process.on('warning', heard)
    t.after(() => process.off('warning', heard))
    const limiter = make(t, { limit: 1 })
    const held = await limiter.acquire('a')
    const waiting = [1, 2].map(() => limiter.acquire('a', { maxWait: '1h' }).then((permit) => permit.release()))
    await until(() => limiter.stats().waiting === 2, 'both wait')
    await held.release()
    await settles(Promise.all(waiting), 'both')
    await turn()
    assert.deepEqual(warnings, [])
  })

  test('that is answered while the limiter closes is released', async (t) => {
    const [one, other] = pair(t)
    await one.ready()
    const acquiring = one.acquire('a')
    const closing = one.close()
    assert.equal(one.close(), closing, 'closed once')
    await Promise.allSettled([acquiring, closing])
    assert.equal((await other.acquire('a')).acquired, true)
  })
})

test('a reservation stays that of the key it was made for', async (t) => {
  const limiter = new RateLimiter({ limits: [{ name: 'each', by: 'user', limit: 10, window: '1d' }] })
  t.after(() => limiter.close())
  const key = { user: 'a' }
  const reservation = await limiter.reserve(key, { cost: 4 })
  key.user = 'b'
  await reservation.settle(1)
  assert.equal((await limiter.peek({ user: 'a' })).remaining, 9)
  assert.equal((await limiter.peek({ user: 'b' })).remaining, 10)
})
