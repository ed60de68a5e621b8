/** The limiter without a store: decided in this process. */

import assert from 'node:assert/strict'
import { describe, test } from 'node:test'

import { RateLimiter } from 'distributed-rate-limiter'

import { allowedOf, describeFace } from './support/face.mjs'
import { assertDecision } from './support/decision.mjs'
import { sleep, until } from './support/wait.mjs'

describeFace('memory', (options) => new RateLimiter(options))

describe('memory alone', { timeout: 60_000 }, () => {
  const limiterOf = (t, options) => {
    const limiter = new RateLimiter({ limit: 2, window: '1d', ...options })
    t.after(() => limiter.close())
    return limiter
  }

  test('isAllowedSync spends the units that isAllowed spends', async (t) => {
    const limiter = limiterOf(t, { limit: 3 })
    assert.equal(limiter.isAllowedSync('a'), true)
    assert.equal(await limiter.isAllowed('a'), true)
    assert.equal(limiter.isAllowedSync('a', { cost: 2 }), false)
    assert.equal(limiter.isAllowedSync('a', { cost: 1 }), true)
    assert.equal(await limiter.isAllowed('a'), false)
    assert.deepEqual([limiter.stats().allowed, limiter.stats().denied], [3, 2])
  })

  test('two limiters share nothing', async (t) => {
    const [one, other] = [limiterOf(t), limiterOf(t)]
    assert.equal(await allowedOf(one, 'a', 5), 2)
    assert.equal(await allowedOf(other, 'a', 5), 2)
  })

  test('the store is none, and always ready', async (t) => {
    const limiter = limiterOf(t)
    assert.equal(await limiter.ready(), undefined)
    await limiter.isAllowed('a')
    await limiter.isAllowed('b')
    const { store, batches, batchedCalls, keys } = limiter.stats()
    assert.deepEqual({ store, batches, batchedCalls, keys }, { store: 'none', batches: 0, batchedCalls: 0, keys: 2 })
    await limiter.reset('a')
    assert.equal(limiter.stats().keys, 1, 'a reset key is not held')
  })

  test('what stats() returned is a picture, not a window', async (t) => {
    const limiter = limiterOf(t)
    const before = limiter.stats()
    await limiter.isAllowed('a')
    assert.equal(before.allowed, 0)
    assert.equal(limiter.stats().allowed, 1)
  })

  test('every decision is an object of its own', async (t) => {
    const limiter = limiterOf(t)
    const [first, second] = await Promise.all([limiter.check('a'), limiter.check('a')])
    assertDecision(first, { remaining: 1 })
    assertDecision(second, { remaining: 0 })
  })
})

describe('the bound on memory', { timeout: 60_000 }, () => {
  for (const algorithm of ['sliding-window', 'token-bucket']) {
    test(`${algorithm}: a key that is limited stays limited while many more come than have room`, async (t) => {
      const limiter = new RateLimiter({ algorithm, limit: 1, window: '1d', maxMemory: '64kb' })
      t.after(() => limiter.close())
      assert.equal(await limiter.isAllowed('victim'), true)
      for (let index = 0; index < 1_000; index += 1) {
        const allowed = await allowedOf(limiter, `flood-${index}`, 3)
        assert.ok(allowed <= 1, `flood-${index} passed the limit of 1: it was allowed ${allowed} times`)
        assert.ok(limiter.stats().keys <= 500, `${limiter.stats().keys} keys have a state of their own in 64 KiB`)
        assert.equal(await limiter.isAllowed('victim'), false, `the victim was forgotten after ${index + 1} other keys`)
      }
    })

    test(`${algorithm}: keys that are as good as new make room`, async (t) => {
      const limiter = new RateLimiter({ algorithm, limit: 1, window: 50, maxMemory: '64kb' })
      t.after(() => limiter.close())
      for (let index = 0; index < 30_000; index += 1) await limiter.isAllowed(`flood-${index}`)
      await sleep(100)
      await until(() => limiter.isAllowed('newcomer'), 'a new key was allowed after the window of all others')
      assert.ok(limiter.stats().keys <= 500, `${limiter.stats().keys} keys have a state of their own in 64 KiB`)
    })
  }
})

describe("unblock with clock: 'timestamps'", () => {
  // It is not said when that happens, and the present is years after what is replayed.
  test('forgets nobody', async (t) => {
    const limiter = new RateLimiter({ limit: 1, window: '1m', clock: 'timestamps' })
    t.after(() => limiter.close())
    const timestamp = Date.UTC(2020, 0, 1)
    for (const key of ['a', 'b', 'c']) assert.equal(await limiter.isAllowed(key, { timestamp }), true)
    await limiter.block('a', '1s', { timestamp })
    await limiter.unblock('a')
    for (let other = 0; other < 20; other += 1) await limiter.unblock(`other-${other}`)
    for (const key of ['a', 'b', 'c']) assert.equal(await limiter.isAllowed(key, { timestamp }), false, key)
  })
})
