/** What a call gets while Redis is away, in each mode, and when more calls wait than may. Faults under load: `chaos.test.mjs`. */

import assert from 'node:assert/strict'
import { after, describe, test } from 'node:test'

import { RateLimiter } from 'distributed-rate-limiter'

import { freePort, startRedis } from '../scripts/redis.mjs'
import { assertDecision } from './support/decision.mjs'
import { allowedOf } from './support/face.mjs'
import { atMost } from './support/long.mjs'
import { assertRefusal, rejectionOf } from './support/refusal.mjs'
import { settles, until } from './support/wait.mjs'
import { uncaught } from './support/witness.mjs'

/** The default, on which the promise about latency rests. */
const TIMEOUT_MS = 100

const takeUncaught = uncaught()
after(() => assert.deepEqual(takeUncaught(), [], 'nothing is left uncaught'))

/** A limit that the load never meets: whether it is allowed is not the question here. */
const AMPLE = { limit: 2 ** 32, window: '1d' }

/** A limiter that takes the default timeout. */
const limiterWith = (options) => new RateLimiter({ ...AMPLE, timeout: TIMEOUT_MS, ...options })

/** A Redis that ends with the test, in whatever state it was left. */
async function redisOf(t, options) {
  const redis = await startRedis(options)
  t.after(() => {
    redis.process.kill('SIGCONT')
    return redis.stop()
  })
  return redis
}

describe('what a call gets', { timeout: atMost(60_000) }, () => {
  /** Redis in each of the two ways not to answer: nobody listens, or somebody does and says nothing. */
  const absences = {
    absent: async () => ({ redisUrl: `redis://127.0.0.1:${await freePort()}` }),
    silent: async (t) => {
      const redis = await redisOf(t)
      redis.process.kill('SIGSTOP')
      return { redisUrl: redis.url }
    },
  }

  for (const [how, absence] of Object.entries(absences)) {
    const limiterOf = async (t, options) => {
      const limiter = limiterWith({ ...(await absence(t)), limit: 10, ...options })
      t.after(() => limiter.close())
      return limiter
    }

    for (const algorithm of ['sliding-window', 'token-bucket']) {
      test(`${how}, 'local', ${algorithm}: the limit of the fallback`, async (t) => {
        const limiter = await limiterOf(t, { algorithm, onStoreError: 'local', fallback: { limit: 5 } })
        assert.equal(await allowedOf(limiter, 'a', 20), 5)
        assertDecision(await limiter.check('a'), { allowed: false, limit: 5, remaining: 0, source: 'fallback' })
        assertDecision(await limiter.check('b'), { allowed: true, limit: 5, remaining: 4, source: 'fallback' })
        assertDecision(await limiter.peek('b'), { allowed: true, limit: 5, remaining: 4, source: 'fallback' })
        const { sources, storeErrors } = limiter.stats()
        assert.equal(sources.redis, 0)
        assert.ok(storeErrors >= 22, `each call that Redis did not decide is counted, not only ${storeErrors}`)
      })
    }

    test(`${how}: 'local' is what nobody has to ask for, with the limiter's own limit`, async (t) => {
      const limiter = await limiterOf(t)
      assert.equal(await allowedOf(limiter, 'a', 20), 10)
      assertDecision(await limiter.check('a'), { allowed: false, limit: 10, source: 'fallback' })
    })

    test(`${how}: a cost above the limit of the fallback is denied, not an error`, async (t) => {
      const limiter = await limiterOf(t, { onStoreError: 'local', fallback: { limit: 5 } })
      assertDecision(await limiter.check('a', { cost: 8 }), { allowed: false, source: 'fallback' })
    })

    test(`${how}, 'local': the fallback has a window of its own`, async (t) => {
      const limiter = await limiterOf(t, { onStoreError: 'local', fallback: { limit: 5, window: 200 } })
      assert.equal(await limiter.isAllowed('a', { cost: 5 }), true)
      await until(() => limiter.isAllowed('a', { cost: 5 }), "the fallback's units came back")
    })

    test(`${how}, 'allow'`, async (t) => {
      const limiter = await limiterOf(t, { onStoreError: 'allow' })
      assert.equal(await allowedOf(limiter, 'a', 50), 50)
      assertDecision(await limiter.check('a'), { allowed: true, source: 'fallback' })
    })

    test(`${how}, 'deny'`, async (t) => {
      const limiter = await limiterOf(t, { onStoreError: 'deny' })
      assert.equal(await allowedOf(limiter, 'a', 50), 0)
      assertDecision(await limiter.check('a'), { allowed: false, source: 'fallback' })
    })

    test(`${how}, 'throw'`, async (t) => {
      const limiter = await limiterOf(t, { onStoreError: 'throw' })
      for (const method of ['isAllowed', 'check', 'peek']) {
        const refusal = await rejectionOf(() => limiter[method]('a'), method)
        assertRefusal(refusal, { type: Error, code: refusal.code }, method)
        assert.match(refusal.code, /^ERR_RATE_LIMIT_STORE_(TIMEOUT|UNAVAILABLE)$/)
      }
      assert.deepEqual([limiter.stats().allowed, limiter.stats().denied], [0, 0], 'nothing was decided')
    })

    test(`${how}: reset cannot be done, and says so whatever onStoreError is`, async (t) => {
      for (const onStoreError of ['local', 'throw']) {
        const limiter = await limiterOf(t, { onStoreError })
        const refusal = await rejectionOf(() => limiter.reset('a'), 'reset')
        assert.match(refusal.code, /^ERR_RATE_LIMIT_STORE_(TIMEOUT|UNAVAILABLE)$/, onStoreError)
      }
    })

    test(`${how}: ready() gives up after its own timeout`, async (t) => {
      const limiter = await limiterOf(t)
      const refusal = await rejectionOf(() => limiter.ready({ timeout: 150 }), 'ready()')
      assertRefusal(refusal, { type: Error, code: 'ERR_RATE_LIMIT_STORE_UNAVAILABLE' }, 'ready()')
    })
  }

  test('the timeout is the one that was given', async (t) => {
    const redis = await redisOf(t)
    const timeouts = [800, 50, 400]
    const limiters = timeouts.map((timeout) => limiterWith({ redisUrl: redis.url, timeout }))
    t.after(() => Promise.all(limiters.map((limiter) => limiter.close())))
    await Promise.all(limiters.map((limiter) => limiter.ready()))
    redis.process.kill('SIGSTOP')
    const order = []
    const waits = timeouts.map(async (timeout, index) => {
      const from = performance.now()
      assertDecision(await limiters[index].check('a'), { source: 'fallback' })
      const took = performance.now() - from
      order.push(timeout)
      assert.ok(took >= timeout - 1, `a timeout of ${timeout} ms was over after ${took.toFixed(1)} ms`)
    })
    await settles(Promise.all(waits), 'three calls')
    assert.deepEqual(order, [50, 400, 800])
  })

  test('a call that was late is counted once at most', async (t) => {
    const redis = await redisOf(t)
    const limiter = limiterWith({ redisUrl: redis.url, limit: 1_000, timeout: 500, onStoreError: 'throw' })
    t.after(() => limiter.close())
    await limiter.ready()
    assert.equal(await limiter.isAllowed('a'), true)
    redis.process.kill('SIGSTOP')
    const late = await Promise.allSettled(Array.from({ length: 20 }, () => limiter.isAllowed('a')))
    assert.ok(
      late.every(({ status }) => status === 'rejected'),
      'Redis was silent',
    )
    redis.process.kill('SIGCONT')
    const peeked = () => limiter.peek('a').catch(() => undefined)
    const { remaining } = await until(peeked, 'Redis decided again')
    // What arrived while Redis was stopped is counted once it goes on: by right, since the call was made.
    assert.ok(remaining >= 1_000 - 1 - 20, `${1_000 - remaining} units were taken by 21 calls`)
  })

  test('what was counted here is forgotten by reset, once Redis is there to be told', async (t) => {
    const port = await freePort()
    const limiter = limiterWith({ redisUrl: `redis://127.0.0.1:${port}`, limit: 2 })
    t.after(() => limiter.close())
    assert.equal(await allowedOf(limiter, 'a', 5), 2, 'spent in the fallback')
    const redis = await redisOf(t, { port })
    await limiter.ready()
    await until(async () => (await limiter.peek('a')).source === 'redis', 'Redis decided')
    await limiter.reset('a')
    await redis.kill()
    await until(async () => (await limiter.peek('a')).source === 'fallback', 'the fallback decided')
    assertDecision(await limiter.check('a'), { allowed: true, remaining: 1, source: 'fallback' })
  })
})

describe('more calls than may wait', { timeout: atMost(30_000) }, () => {
  const MAX_PENDING = 10
  const CALLS = 100
  /** What is in flight waits no longer: two script calls, of which each took at most all that waited. */
  const MOST = 3 * MAX_PENDING

  /** A limiter whose Redis answered once and is now silent. */
  async function silenced(t, options) {
    const redis = await redisOf(t)
    const limiter = limiterWith({ redisUrl: redis.url, limit: 10, maxPending: MAX_PENDING, timeout: '1s', ...options })
    t.after(() => limiter.close())
    await limiter.ready()
    redis.process.kill('SIGSTOP')
    t.after(() => redis.process.kill('SIGCONT'))
    return limiter
  }

  test('reject at once where they throw', async (t) => {
    const limiter = await silenced(t, { onStoreError: 'throw' })
    const order = []
    const calls = Array.from({ length: CALLS }, (_, index) =>
      limiter.isAllowed(`key-${index}`).then(
        () => order.push('decided'),
        (error) => order.push(error.code),
      ),
    )
    assert.ok(limiter.stats().pending <= MOST, `${limiter.stats().pending} calls wait`)
    await settles(Promise.all(calls), `${CALLS} calls`)

    const late = order.filter((code) => code === 'ERR_RATE_LIMIT_STORE_TIMEOUT').length
    assert.ok(order.includes('ERR_RATE_LIMIT_OVERLOADED'), `none of ${CALLS} calls was one too many: ${order}`)
    assert.ok(late <= MOST, `${late} calls waited for Redis, more than maxPending and what is in flight`)
    // What waited is settled last: by its own deadline, or by the circuit, which those before it have opened.
    const atOnce = order.slice(0, CALLS - MOST)
    assert.ok(!atOnce.includes('ERR_RATE_LIMIT_STORE_TIMEOUT'), `a call that did not fit waited all the same: ${order}`)
    assert.ok(!order.includes('decided'), `somebody decided while Redis was silent: ${order}`)
  })

  test('are decided in this process at once, by the limit of the fallback', async (t) => {
    const limiter = await silenced(t, { onStoreError: 'local', fallback: { limit: 3 } })
    const order = []
    const calls = Array.from({ length: CALLS }, async (_, index) => {
      const decision = await limiter.check('a')
      assertDecision(decision, { limit: 3, source: 'fallback' })
      order.push(index)
      return decision.allowed
    })
    const answers = await settles(Promise.all(calls), `${CALLS} calls`)
    assert.equal(answers.filter(Boolean).length, 3, 'the limit of the fallback, over both kinds of calls')
    const waited = order.slice(-MOST).filter((index) => index < MAX_PENDING).length
    assert.ok(waited > 0, `the calls that came first waited longest, and settled last: ${order}`)
  })
})
