/** Waiting until a call is allowed: whose turn it is, for how long anybody waits, and what giving up leaves behind. */

import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'

import { startRedis } from '../scripts/redis.mjs'
import { ALGORITHMS, BUCKETS } from './support/algorithms.mjs'
import { assertEnded, program, run } from './support/child.mjs'
import { assertDecision } from './support/decision.mjs'
import { atMost } from './support/long.mjs'
import { assertRefusal, rejectionOf } from './support/refusal.mjs'
import { makers } from './support/stores.mjs'
import { settles, until } from './support/wait.mjs'
import waitingRoom from '../lib/waiting-room.js'

const HOUR = 3_600_000
const closed = { type: Error, code: 'ERR_RATE_LIMIT_CLOSED' }

let redis
before(async () => {
  redis = await startRedis()
})
after(() => redis.stop())

/** Two units, of which one is back in an hour: both of them in a window, one and then the other in a bucket. */
const TWO_AN_HOUR = {
  'sliding-window': { limit: 2, window: '1h' },
  'token-bucket': { limit: 1, window: '1h', burst: 2 },
}

/** Lets everything happen that needs no time. */
const aMoment = async () => {
  for (let turns = 0; turns < 3; turns += 1) await new Promise(setImmediate)
}

/** Whether a promise has been settled yet; a rejection is not told to anybody else. */
function watched(promise) {
  const state = { promise, settled: false }
  const settle = () => (state.settled = true)
  promise.then(settle, settle)
  return state
}

for (const [store, make] of Object.entries(makers(() => redis))) {
  describe(`turns, ${store}`, { timeout: atMost(60_000) }, () => {
    // Of six at once two pass, or as many as a bucket holds, and the last of them not before this.
    const WINDOW = 120
    const least = {
      'sliding-window': 2 * WINDOW,
      'sliding-counter': WINDOW,
      'fixed-window': 2 * WINDOW,
      'token-bucket': 2 * WINDOW,
      'leaky-bucket': 2.5 * WINDOW,
    }
    for (const algorithm of ['sliding-window', 'sliding-counter', 'fixed-window', 'token-bucket']) {
      test(`${algorithm}: of many at once all are allowed for whom there is room, and nobody else`, async (t) => {
        const limiter = make(t, { algorithm, limit: 9, window: '1d' })
        const decisions = await settles(
          Promise.all(Array.from({ length: 12 }, () => limiter.acquire('a', { maxWait: '30s' }))),
          'those who are refused at once',
        )
        const allowed = decisions.map((decision) => decision.allowed)
        assert.deepEqual(
          allowed,
          allowed.map((_, index) => index < 9),
        )
      })
    }

    for (const algorithm of ALGORITHMS) {
      test(`${algorithm}: all pass, in the order in which they came, at the limit's rate`, async (t) => {
        const limiter = make(t, { algorithm, limit: 2, window: WINDOW })
        const begun = performance.now()
        const order = []
        const wait = async (index) => {
          const decision = await limiter.acquire('a')
          order.push(index)
          return decision
        }
        const decisions = await settles(Promise.all([0, 1, 2, 3, 4, 5].map(wait)), 'six callers', 20_000)
        const took = performance.now() - begun
        assert.deepEqual(order, [0, 1, 2, 3, 4, 5])
        for (const decision of decisions) {
          assertDecision(decision, { allowed: true, granted: 1, delayMs: 0, source: store })
        }
        // The store's clock is another one.
        assert.ok(took >= least[algorithm] - 2, `they passed within ${took.toFixed(1)} ms`)
      })
    }

    test('a key has a line of its own, and so has an action', async (t) => {
      const limiter = make(t, { ...TWO_AN_HOUR['sliding-window'], actions: { login: { limit: 1, window: '1h' } } })
      await limiter.acquire('a', { cost: 2 })
      const waiting = watched(limiter.acquire('a'))
      assertDecision(await limiter.acquire('b'), { allowed: true })
      assertDecision(await limiter.acquire('a', { action: 'login' }), { allowed: true, limit: 1 })
      assertDecision(await limiter.acquire('a', { limit: 9, window: '1h' }), { allowed: true, limit: 9 })
      assert.equal(waiting.settled, false)
    })

    test('fields are one key, in whatever order they are named', async (t) => {
      const limiter = make(t, {
        limits: [
          { name: 'user', by: 'user', limit: 2, window: '1h' },
          { name: 'ip', by: 'ip', limit: 2, window: '1h' },
        ],
      })
      const giveUp = new AbortController()
      await limiter.acquire({ user: 'u', ip: 'i' })
      const first = limiter.acquire({ user: 'u', ip: 'i' }, { cost: 2, signal: giveUp.signal })
      const second = watched(limiter.acquire({ ip: 'i', user: 'u' }))
      await aMoment()
      assert.equal(second.settled, false, 'there is room for it, and it waits behind')
      giveUp.abort()
      await assert.rejects(first)
      await limiter.reset({ user: 'u', ip: 'i' })
      assertDecision(await settles(second.promise, 'the second'), { allowed: true })
    })

    test('who needs little does not pass who needs much and came first', async (t) => {
      const limiter = make(t, { limit: 4, window: 300 })
      await limiter.acquire('a', { cost: 3 })
      const order = []
      const much = limiter.acquire('a', { cost: 4 }).then(() => order.push('much'))
      const little = limiter.acquire('a', { cost: 1 }).then(() => order.push('little'))
      await settles(Promise.all([much, little]), 'both')
      assert.deepEqual(order, ['much', 'little'])
    })
  })

  for (const [algorithm, numbers] of Object.entries(TWO_AN_HOUR)) {
    const isBucket = BUCKETS.includes(algorithm)
    const used = async (t) => {
      const limiter = make(t, { algorithm, ...numbers })
      assertDecision(await limiter.acquire('a', { cost: 2 }), { allowed: true, granted: 2, remaining: 0 })
      return limiter
    }

    describe(`maxWait, ${algorithm}, ${store}`, { timeout: atMost(30_000) }, () => {
      test('who has room does not wait, however short the patience', async (t) => {
        const limiter = make(t, { algorithm, ...numbers })
        for (const maxWait of [0, '1ms']) assertDecision(await limiter.acquire('a', { maxWait }), { allowed: true })
        assertDecision(await limiter.acquire('a', { maxWait: 0 }), { allowed: false, remaining: 0 })
      })

      test('a longer wait is a denial at once, which takes nothing', async (t) => {
        const limiter = await used(t)
        for (const maxWait of [0, 1, '30m', 0.5 * HOUR]) {
          const denial = await settles(limiter.acquire('a', { maxWait }), 'the denial')
          const { retryAfterMs } = assertDecision(denial, { allowed: false, granted: 0, source: store })
          assert.ok(retryAfterMs > 0.9 * HOUR && retryAfterMs <= HOUR, `${retryAfterMs}`)
        }
      })

      test('also behind others', async (t) => {
        const limiter = await used(t)
        const giveUp = new AbortController()
        const first = watched(limiter.acquire('a', { cost: 2, signal: giveUp.signal }))
        const denial = await settles(limiter.acquire('a', { maxWait: '30m' }), 'the denial behind')
        assertDecision(denial, { allowed: false, granted: 0 })
        assert.equal(first.settled, false)
        giveUp.abort()
        await assert.rejects(first.promise)
      })
    })

    describe(`signal, ${algorithm}, ${store}`, { timeout: atMost(30_000) }, () => {
      test('already aborted: rejects with its reason and takes nothing', async (t) => {
        const limiter = make(t, { algorithm, ...numbers })
        const reason = new Error('no more')
        const call = () => limiter.acquire('a', { signal: AbortSignal.abort(reason) })
        assert.equal(await rejectionOf(call, 'an aborted signal'), reason)
        assertDecision(await limiter.peek('a'), { remaining: 2 })
      })

      test('while waiting: rejects with its reason, and the place is given back', async (t) => {
        const limiter = await used(t)
        const giveUp = new AbortController()
        const reason = { whatever: 'it is' }
        const waiting = watched(limiter.acquire('a', { cost: 2, signal: giveUp.signal }))
        if (isBucket) {
          const booked = async () => (await limiter.peek('a')).retryAfterMs > 2.5 * HOUR
          await until(booked, 'the place was booked')
        }
        await aMoment()
        assert.equal(waiting.settled, false)
        giveUp.abort(reason)
        assert.equal(await rejectionOf(() => waiting.promise, 'acquire'), reason)
        const { retryAfterMs } = assertDecision(await limiter.peek('a'), { allowed: false })
        assert.ok(retryAfterMs <= HOUR, `nobody waits any more, and still ${retryAfterMs} ms`)
      })

      test('in the same turn: the units are given back', async (t) => {
        const limiter = make(t, { algorithm, ...numbers })
        const giveUp = new AbortController()
        const waiting = limiter.acquire('a', { signal: giveUp.signal })
        giveUp.abort()
        await assert.rejects(settles(waiting, 'acquire'), { name: 'AbortError' })
        assertDecision(await limiter.peek('a'), { remaining: 2 })
      })

      test('a later caller gets the place', async (t) => {
        const limiter = make(t, { algorithm, limit: 1, window: 400 })
        await limiter.acquire('a')
        const giveUp = new AbortController()
        const waiting = watched(limiter.acquire('a', { signal: giveUp.signal }))
        await aMoment()
        giveUp.abort()
        await assert.rejects(settles(waiting.promise, 'acquire'))
        // The first unit is back in 400 ms; behind somebody else's place it would be 800.
        const later = limiter.acquire('a', { maxWait: 600 })
        assertDecision(await settles(later, 'a later caller'), { allowed: true })
      })

      // A bucket's places are booked: there nobody stands behind another.
      if (!isBucket) {
        test('whoever is behind moves up', async (t) => {
          const limiter = make(t, { algorithm, ...numbers })
          await limiter.acquire('a')
          const giveUp = new AbortController()
          const first = watched(limiter.acquire('a', { cost: 2, signal: giveUp.signal }))
          const second = watched(limiter.acquire('a'))
          await aMoment()
          assert.equal(second.settled, false)
          giveUp.abort()
          await assert.rejects(first.promise)
          assertDecision(await settles(second.promise, 'the second'), { allowed: true })
        })
      }
    })

    describe(`close(), ${algorithm}, ${store}`, { timeout: atMost(30_000) }, () => {
      test('settles everybody who waits', async (t) => {
        const limiter = await used(t)
        const other = make(t, { algorithm, ...numbers, prefix: 'none of them' })
        const { signal } = new AbortController()
        const waiting = [{}, {}, { maxWait: '23h' }, { signal }, { cost: 2 }].map((options) =>
          watched(limiter.acquire('a', options)),
        )
        await aMoment()
        for (const { settled } of waiting) assert.equal(settled, false)
        const closing = limiter.close()
        for (const { promise } of waiting) {
          assertRefusal(await rejectionOf(() => promise, 'a caller who waits'), closed, 'a caller who waits')
        }
        await settles(closing, 'close()')
        assertRefusal(await rejectionOf(() => limiter.acquire('a'), 'a later caller'), closed, 'a later caller')
        assertDecision(await other.acquire('a'), { allowed: true })
      })

      test('also who has only just asked', async (t) => {
        const limiter = await used(t)
        const waiting = [watched(limiter.acquire('a')), watched(limiter.acquire('a'))]
        await settles(limiter.close(), 'close()')
        for (const { promise } of waiting) {
          // Without a second look at whether it is closed the first would wait for an hour.
          assertRefusal(await rejectionOf(() => promise, 'a caller who asked'), closed, 'a caller who asked')
        }
      })
    })
  }

  test(`a program that waits ends by itself, ${store}`, { timeout: atMost(60_000) }, async () => {
    for (const algorithm of ['sliding-window', 'leaky-bucket']) {
      const redisUrl = store === 'redis' ? redis.url : undefined
      const options = { algorithm, limit: 2, window: 200, redisUrl, timeout: '10s', prefix: `program-${algorithm}` }
      const end = await run(program('one-acquire.mjs'), { args: [JSON.stringify(options)], within: 20_000 })
      assertEnded(end, 'a program that waited')
      assert.equal(end.stdout, 'waited: true\n')
      assert.equal(end.stderr, '')
    }
  })
}

describe('what a limiter answers late, or otherwise', { timeout: 30_000 }, () => {
  const { memory: make } = makers()

  test('a line that moves too slowly is a denial when patience ends', async (t) => {
    const limiter = make(t, { limit: 1, window: 1_000 })
    const giveUp = new AbortController()
    await limiter.acquire('a')
    const first = watched(limiter.acquire('a', { signal: giveUp.signal }))
    const second = limiter.acquire('a', { maxWait: 1_500 })
    await aMoment()
    await limiter.block('a', '1h')
    const denial = assertDecision(await settles(second, 'the second'), { allowed: false, granted: 0 })
    assert.ok(denial.retryAfterMs > 0.9 * HOUR)
    assert.equal(first.settled, false, 'who has all the time in the world waits on')
    giveUp.abort()
    await assert.rejects(first.promise)
  })

  test('what was booked is given back to the store before the limiter leaves it', async (t) => {
    const { redis: onRedis } = makers(() => redis)
    const options = { algorithm: 'token-bucket', limit: 1, window: '1h', prefix: 'booked' }
    const [one, other] = [onRedis(t, options), onRedis(t, options)]
    await one.acquire('a')
    const booked = watched(one.acquire('a', { maxWait: '20h' }))
    await until(async () => (await other.peek('a')).retryAfterMs > 1.5 * HOUR, 'the place was booked')
    await one.close()
    await assert.rejects(booked.promise, { code: closed.code })
    const { retryAfterMs } = await other.peek('a')
    assert.ok(retryAfterMs <= HOUR, `nobody waits any more, and still ${retryAfterMs} ms`)
  })

  test('also what was on its way to be booked when the limiter was closed', async (t) => {
    const { redis: onRedis } = makers(() => redis)
    const options = { algorithm: 'token-bucket', limit: 1, window: '1h', prefix: 'underway' }
    const [one, other] = [onRedis(t, options), onRedis(t, options)]
    await one.acquire('a')
    const booking = watched(one.acquire('a', { maxWait: '20h' }))
    await one.close()
    await assert.rejects(booking.promise, { code: closed.code })
    const { retryAfterMs } = await other.peek('a')
    assert.ok(retryAfterMs <= HOUR, `nobody waits any more, and still ${retryAfterMs} ms`)
  })

  test('a room is closed when the store has back what was booked in it', async () => {
    const events = []
    const slow = (event, answer) =>
      new Promise((resolve) => setTimeout(() => resolve(events.push(event) && answer), 20))
    const room = new waitingRoom.WaitingRoom({
      reserve: () => slow('booked', { allowed: true, delayMs: HOUR }),
      peek: () => Promise.reject(new Error('closed')),
      giveBack: () => slow('given back'),
    })
    const refused = assert.rejects(room.acquire('a'), { message: 'closed' })
    await room.close()
    events.push('closed')
    await refused
    assert.deepEqual(events, ['booked', 'given back', 'closed'])
  })

  test('who booked first passes first, also where the answer was late on its way', async () => {
    // Without that the first would wait for its place from when its answer came, and the others pass before it.
    const begun = performance.now()
    let asked = 0
    const room = new waitingRoom.WaitingRoom({
      async reserve() {
        const place = begun + 30 + 10 * asked
        const delayMs = Math.ceil(place - performance.now())
        asked += 1
        if (asked === 1) await new Promise((resolve) => setTimeout(resolve, 60))
        return { allowed: true, delayMs: Math.max(delayMs, 0) }
      },
      peek: async () => ({ allowed: true, limit: 5 }),
      giveBack: async () => assert.fail('nobody gave up'),
    })
    const order = []
    await Promise.all([0, 1, 2].map((index) => room.acquire('a').then(() => order.push(index))))
    assert.deepEqual(order, [0, 1, 2])
  })
})
