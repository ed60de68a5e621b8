/** Several limits that are decided together, limits of single keys, actions and calls, and what a change of a limit keeps. */

import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'

import { RateLimiter } from 'distributed-rate-limiter'

import { freePort, startRedis } from '../scripts/redis.mjs'
import { redisCommand } from '../scripts/resp.mjs'
import { ALGORITHMS } from './support/algorithms.mjs'
import { assertDecision } from './support/decision.mjs'
import { atMost } from './support/long.mjs'
import { assertRefusal, rejectionOf, thrownBy } from './support/refusal.mjs'
import { makers } from './support/stores.mjs'

const HOUR = 3_600_000
const DAY = 24 * HOUR

let redis
before(async () => {
  redis = await startRedis()
})
after(() => redis.stop())

/** Three limits on three keys: the user's is met first, then the ip's, then the one of all. */
const THREE = [
  { name: 'user', by: 'user', limit: 3, window: '1d' },
  { name: 'ip', by: 'ip', limit: 5, window: '2d' },
  { name: 'all', by: 'global', limit: 6, window: '3d' },
]
const WHO = { user: 'u1', ip: '::1' }

const badKey = { type: TypeError, code: 'ERR_RATE_LIMIT_KEY' }
const badCost = { type: RangeError, code: 'ERR_RATE_LIMIT_COST' }
const badOption = { type: TypeError, code: 'ERR_RATE_LIMIT_OPTION' }
const noLimit = { type: Error, code: 'ERR_RATE_LIMIT_NO_LIMIT' }
const unsupported = { type: Error, code: 'ERR_RATE_LIMIT_UNSUPPORTED' }

/** What is left of each limit, in their order. */
const left = async (limiter, key, options) =>
  (await limiter.peek(key, options)).limits.map(({ remaining }) => remaining)

for (const [store, make] of Object.entries(makers(() => redis))) {
  describe(`several limits, ${store}`, { timeout: atMost(30_000) }, () => {
    test('the decision is about all of them, in their order', async (t) => {
      const limiter = make(t, { limits: THREE })
      const begun = Date.now()
      const decision = assertDecision(await limiter.check(WHO), {
        allowed: true,
        granted: 1,
        name: 'user',
        limit: 3,
        remaining: 2,
        source: store,
      })
      assert.deepEqual(
        decision.limits.map(({ resetAt, ...others }) => others),
        [
          { name: 'user', allowed: true, limit: 3, remaining: 2, retryAfterMs: 0 },
          { name: 'ip', allowed: true, limit: 5, remaining: 4, retryAfterMs: 0 },
          { name: 'all', allowed: true, limit: 6, remaining: 5, retryAfterMs: 0 },
        ],
      )
      for (const [index, { resetAt }] of decision.limits.entries()) {
        const off = resetAt - begun - (index + 1) * DAY
        assert.ok(Math.abs(off) < 60_000, `limit ${index} is reset after its own window: ${off} ms off`)
      }
    })

    test('a refusal names the limit that refused, and consumes nothing of any', async (t) => {
      const limiter = make(t, { limits: THREE })
      for (let calls = 0; calls < 3; calls += 1) assert.equal(await limiter.isAllowed(WHO), true)
      for (let again = 0; again < 3; again += 1) {
        const { limits } = assertDecision(await limiter.check(WHO), { allowed: false, name: 'user', limit: 3 })
        assert.deepEqual(
          limits.map(({ allowed, remaining }) => [allowed, remaining]),
          [
            [false, 0],
            [true, 2],
            [true, 3],
          ],
        )
      }
      const other = { user: 'u2', ip: WHO.ip }
      assert.equal(await limiter.isAllowed(other), true)
      assert.equal(await limiter.isAllowed(other), true)
      assertDecision(await limiter.check(other), { allowed: false, name: 'ip' })
      const third = { user: 'u2', ip: '::2' }
      assert.equal(await limiter.isAllowed(third), true)
      const { limits } = assertDecision(await limiter.check({ user: 'u3', ip: '::3' }), { allowed: false, name: 'all' })
      assert.deepEqual(
        limits.map(({ remaining }) => remaining),
        [3, 5, 0],
        'neither the new user nor the new ip has paid for a refusal by all',
      )
    })

    test('of several that refuse, the one that must be waited for longest', async (t) => {
      const limits = [
        { name: 'short', limit: 1, window: '1h' },
        { name: 'long', limit: 1, window: '1d' },
        { name: 'wide', limit: 9, window: '2d' },
      ]
      const limiter = make(t, { limits })
      await limiter.check('a')
      const { retryAfterMs, ...decision } = assertDecision(await limiter.check('a'), { allowed: false, name: 'long' })
      assert.ok(retryAfterMs > 23 * HOUR && retryAfterMs <= DAY, `${retryAfterMs}`)
      const [short, long, wide] = decision.limits
      assert.ok(short.retryAfterMs > 0 && short.retryAfterMs <= HOUR, 'each says its own')
      assert.equal(long.retryAfterMs, retryAfterMs)
      assert.deepEqual({ allowed: wide.allowed, wait: wide.retryAfterMs }, { allowed: true, wait: 0 })
    })

    test('each may have an algorithm of its own', async (t) => {
      const limits = ALGORITHMS.map((algorithm) => ({ name: algorithm, algorithm, limit: 4, window: '1d' }))
      const limiter = make(t, { limits })
      assertDecision(await limiter.check('a', { cost: 3 }), { allowed: true, granted: 3 })
      assert.deepEqual(await left(limiter, 'a'), [1, 1, 1, 1, 2], 'a leaky bucket has a place more than wait')
      assertDecision(await limiter.check('a', { cost: 2 }), { allowed: false, granted: 0 })
      assert.deepEqual(await left(limiter, 'a'), [1, 1, 1, 1, 2])
    })

    test('upTo takes what the least of them has', async (t) => {
      const limiter = make(t, { limits: THREE })
      await limiter.check({ user: 'u2', ip: WHO.ip }, { cost: 3 })
      assertDecision(await limiter.check(WHO, { upTo: 3 }), { allowed: true, granted: 2, name: 'ip', remaining: 0 })
      assert.deepEqual(await left(limiter, WHO), [1, 0, 1], 'the same from each')
      assertDecision(await limiter.check(WHO, { upTo: 3 }), { allowed: false, granted: 0, name: 'ip' })
      assert.deepEqual(await left(limiter, WHO), [1, 0, 1])
    })

    test('a cost is at most the least of the limits', async (t) => {
      const limiter = make(t, { limits: THREE })
      for (const options of [{ cost: 4 }, { upTo: 4 }]) {
        const [name] = Object.keys(options)
        const refusal = await rejectionOf(() => limiter.check(WHO, options), name)
        assertRefusal(refusal, { ...badCost, says: [name, '3', '4'] }, name)
      }
    })

    test('refund and penalty are about all that the key names', async (t) => {
      const limiter = make(t, { limits: THREE })
      await limiter.check(WHO, { cost: 3 })
      assertDecision(await limiter.refund(WHO, 2), { allowed: true, name: 'user', remaining: 2, granted: 0 })
      assert.deepEqual(await left(limiter, WHO), [2, 4, 5])
      assertDecision(await limiter.penalty(WHO, 3), { allowed: false, name: 'user', remaining: 0 })
      assert.deepEqual(await left(limiter, WHO), [0, 1, 2], 'the user is in debt, the others are not')
      await limiter.refund(WHO, 1)
      assert.deepEqual(await left(limiter, WHO), [0, 2, 3], 'the debt is gone, and nothing is there')
      await limiter.refund(WHO, 3)
      assert.deepEqual(await left(limiter, WHO), [3, 5, 6], 'never more than were taken')
    })

    test('block, unblock and reset are about the fields that are named', async (t) => {
      const limiter = make(t, { limits: THREE })
      await limiter.check(WHO)
      assert.equal(await limiter.block({ ip: WHO.ip }, '1h'), undefined)
      const { retryAfterMs } = assertDecision(await limiter.check({ user: 'u2', ip: WHO.ip }), {
        allowed: false,
        name: 'ip',
      })
      assert.ok(retryAfterMs > HOUR / 2 && retryAfterMs <= HOUR, `until the block ends, not in ${retryAfterMs}`)
      assertDecision(await limiter.check({ user: WHO.user, ip: '::2' }), { allowed: true })
      await limiter.refund({ user: 'u2', ip: WHO.ip })
      assert.equal(await limiter.isAllowed({ user: 'u2', ip: WHO.ip }), false, 'a refund lifts no block')
      await limiter.unblock({ ip: WHO.ip })
      await limiter.block({ user: WHO.user, ip: '::9' }, '1h')
      assert.equal(await limiter.isAllowed({ user: WHO.user, ip: WHO.ip }), false, 'each that is named')
      assert.equal(await limiter.isAllowed({ user: 'u2', ip: '::9' }), false, 'each that is named')
      await limiter.reset({ user: WHO.user })
      const [user, , all] = await left(limiter, WHO)
      assert.equal(user, 3, 'the user is forgotten, and the block with it')
      assert.ok(all < 6, 'the limit of all is as it was')
      for (const verb of ['block', 'unblock', 'reset']) {
        for (const key of [{}, { global: 'x' }, { user: '' }, 'u1']) {
          const args = verb === 'block' ? [key, '1h'] : [key]
          assertRefusal(await rejectionOf(() => limiter[verb](...args), verb), badKey, `${verb} ${JSON.stringify(key)}`)
        }
      }
    })

    test('a field that is missing, unknown or empty is a clear error, and takes nothing', async (t) => {
      const limiter = make(t, { limits: THREE })
      const cases = [
        [{ user: 'u1' }, ['ip', /\{ ip: .*user: /]],
        [{ ip: '::1' }, ['user', /\{ ip: .*user: /]],
        [{}, ['user']],
        [{ ...WHO, host: 'h' }, ['host']],
        [{ ...WHO, global: 'g' }, ['global']],
        [{ ...WHO, ip: '' }, ['ip', 'empty']],
        [{ ...WHO, ip: 5 }, ['ip', '5']],
        [{ ...WHO, ip: null }, ['ip', 'null']],
        [{ ...WHO, ip: undefined }, ['ip']],
        ['u1', ['string', 'ip', 'user']],
        [Object.create(WHO), ['user']],
      ]
      for (const [key, says] of cases) {
        for (const method of ['isAllowed', 'check', 'peek', 'refund', 'penalty', 'acquire']) {
          const what = `${method}(${JSON.stringify(key)})`
          assertRefusal(await rejectionOf(() => limiter[method](key), what), { ...badKey, says }, what)
        }
      }
      assert.deepEqual(await left(limiter, WHO), [3, 5, 6])
      const plain = make(t, { limit: 3, window: '1d' })
      assertRefusal(await rejectionOf(() => plain.check(WHO), 'fields'), { ...badKey, says: ['string'] }, 'fields')
    })

    test('who waits takes from all of them or from none', async (t) => {
      const limits = [
        { name: 'wide', limit: 9, window: '1d' },
        { name: 'narrow', limit: 1, window: '1d' },
      ]
      const limiter = make(t, { limits })
      assertDecision(await limiter.acquire('a'), { allowed: true })
      for (let again = 0; again < 3; again += 1) {
        assertDecision(await limiter.acquire('a', { maxWait: 0 }), { allowed: false, name: 'narrow' })
      }
      const left = (await limiter.peek('a')).limits.map(({ remaining }) => remaining)
      assert.deepEqual(left, [8, 0])
    })

    test('a look up to some units finds any of them', async (t) => {
      const limiter = make(t, { limit: 5, window: '1d' })
      await limiter.check('a', { cost: 3 })
      assertDecision(await limiter.peek('a', { upTo: 5 }), { allowed: true, remaining: 2 })
    })

    test('one call is one decision', async (t) => {
      const limiter = make(t, { limits: THREE })
      for (let calls = 0; calls < 5; calls += 1) await limiter.check(WHO)
      const { allowed, denied, sources } = limiter.stats()
      assert.deepEqual({ allowed, denied, decided: sources[store] }, { allowed: 3, denied: 2, decided: 5 })
    })

    test('an action is counted apart under each of them', async (t) => {
      const limiter = make(t, { limits: THREE })
      await limiter.check(WHO, { cost: 3 })
      assertDecision(await limiter.check(WHO, { action: 'login' }), { allowed: true, remaining: 2 })
      assert.deepEqual(await left(limiter, WHO), [0, 2, 3])
      assert.deepEqual(await left(limiter, WHO, { action: 'login' }), [2, 4, 5])
      await limiter.reset(WHO, { action: 'login' })
      assert.deepEqual(await left(limiter, WHO, { action: 'login' }), [3, 5, 5], 'what all share is nobody’s to reset')
    })

    test('no key and no call has a limit of its own', async (t) => {
      const limiter = make(t, { limits: THREE })
      const own = { limit: 9, window: '1h' }
      assertRefusal(await rejectionOf(() => limiter.check(WHO, own), 'own'), { ...badOption, says: ['limit'] }, 'own')
      assertRefusal(
        thrownBy(() => limiter.configure(WHO, own), 'configure'),
        unsupported,
        'configure',
      )
    })

    test('many calls at once: exactly the least of them', async (t) => {
      const limits = [
        { name: 'a', limit: 70, window: '1d' },
        { name: 'b', limit: 90, window: '1d', algorithm: 'token-bucket' },
      ]
      const limiter = make(t, { limits })
      const answers = await Promise.all(Array.from({ length: 300 }, () => limiter.isAllowed('a')))
      assert.equal(answers.filter(Boolean).length, 70)
      assert.deepEqual(await left(limiter, 'a'), [0, 20])
    })
  })

  describe(`limits that differ, ${store}`, { timeout: atMost(30_000) }, () => {
    test('an action has its own limit, or its own count under the limiter’s', async (t) => {
      const limiter = make(t, { limit: 3, window: '1d', actions: { download: { limit: 1, window: '1h' } } })
      assertDecision(await limiter.check('a', { action: 'download' }), { allowed: true, limit: 1, remaining: 0 })
      const { retryAfterMs } = assertDecision(await limiter.check('a', { action: 'download' }), { allowed: false })
      assert.ok(retryAfterMs <= HOUR, 'in the action’s own window')
      assertDecision(await limiter.check('a', { action: 'upload' }), { allowed: true, limit: 3, remaining: 2 })
      assertDecision(await limiter.check('a', { action: 'up load:@' }), { allowed: true, limit: 3, remaining: 2 })
      assertDecision(await limiter.check('a'), { allowed: true, limit: 3, remaining: 2 })
      assertDecision(await limiter.peek('b', { action: 'download' }), { allowed: true, remaining: 1 })
      await limiter.block('a', '1h', { action: 'upload' })
      assert.equal(await limiter.isAllowed('a', { action: 'upload' }), false)
      assert.equal(await limiter.isAllowed('a'), true, 'another action is not blocked')
      await limiter.unblock('a', { action: 'upload' })
      await limiter.refund('a', 1, { action: 'upload' })
      assertDecision(await limiter.peek('a', { action: 'upload' }), { remaining: 3 })
      assertDecision(await limiter.peek('a'), { remaining: 1 })
    })

    test('an action counts by a field of its own', async (t) => {
      const limiter = make(t, { limits: THREE, actions: { login: { by: 'ip', limit: 1, window: '1d' } } })
      assert.equal(await limiter.isAllowed({ ip: '::1' }, { action: 'login' }), true)
      assert.equal(
        await limiter.isAllowed({ user: 'u2', ip: '::1' }, { action: 'login' }),
        false,
        'whoever the user is',
      )
      assert.equal(await limiter.isAllowed({ user: 'u2', ip: '::2' }, { action: 'login' }), true)
      assert.deepEqual(await left(limiter, WHO), [3, 5, 6])
    })

    test('a call brings a limit that only its caller knows', async (t) => {
      const limiter = make(t, { limit: 2, window: '1d' })
      const own = { limit: 5, window: '1d' }
      assertDecision(await limiter.check('a', own), { allowed: true, limit: 5, remaining: 4 })
      assertDecision(await limiter.check('a', { ...own, cost: 3 }), { allowed: true, limit: 5, remaining: 1 })
      assertDecision(await limiter.check('a'), { allowed: false, limit: 2, remaining: 0 })
      assertDecision(await limiter.refund('a', 4, own), { allowed: true, limit: 5, remaining: 5 })
      assertDecision(await limiter.penalty('a', 1, own), { allowed: true, limit: 5, remaining: 4 })
    })

    test('configure gives a key a limit of its own, and null takes it away', async (t) => {
      const limiter = make(t, { limit: 2, window: '1d' })
      assert.equal(limiter.configure('vip', { limit: 5, window: '1d' }), undefined)
      assertDecision(await limiter.check('vip'), { limit: 5, remaining: 4 })
      assertDecision(await limiter.check('other'), { limit: 2, remaining: 1 })
      assertDecision(await limiter.check('vip', { action: 'download' }), { limit: 5, remaining: 4 })
      assertDecision(await limiter.check('vip', { limit: 9, window: '1d' }), { limit: 9, remaining: 7 })
      limiter.configure('vip', null)
      assertDecision(await limiter.check('vip'), { allowed: false, limit: 2, remaining: 0 })
      limiter.configure('never configured', null)
    })

    test('a limit that comes later keeps the burst, and what was counted with it', async (t) => {
      const limiter = make(t, { limit: 10, window: '1d', burst: { extra: 5, window: '1d' } })
      assertDecision(await limiter.check('a', { cost: 12 }), { allowed: true, limit: 15, remaining: 3 })
      assertDecision(await limiter.peek('a', { limit: 20, window: '1d' }), { limit: 25, remaining: 13 })
      limiter.configure('a', { limit: 10, window: '1d' })
      assertDecision(await limiter.peek('a'), { limit: 15, remaining: 3 })
    })

    test("limit: 'configured' blocks and resets whoever has no limit yet", async (t) => {
      const limiter = make(t, { limit: 'configured' })
      const own = { limit: 3, window: '1d' }
      await limiter.block('a', '1h')
      assert.equal(await limiter.isAllowed('a', own), false)
      await limiter.unblock('a')
      assert.equal(await limiter.isAllowed('a', own), true)
      await limiter.reset('a')
      assertDecision(await limiter.peek('a', own), { remaining: 3 })
    })

    test("limit: 'configured' knows no limit until somebody gives one", async (t) => {
      const limiter = make(t, { limit: 'configured', algorithm: 'token-bucket' })
      for (const method of ['isAllowed', 'check', 'peek', 'refund', 'penalty', 'acquire']) {
        const refusal = await rejectionOf(() => limiter[method]('a'), method)
        assertRefusal(refusal, { ...noLimit, says: ['configure'] }, method)
      }
      limiter.configure('a', { limit: 2, window: '1d' })
      assertDecision(await limiter.check('a'), { limit: 2, remaining: 1 })
      assertDecision(await limiter.check('b', { limit: 4, window: '1d' }), { limit: 4, remaining: 3 })
      assertRefusal(await rejectionOf(() => limiter.check('b'), 'b'), noLimit, 'the limit of one call is no other’s')
      limiter.configure('a', null)
      assertRefusal(await rejectionOf(() => limiter.check('a'), 'a'), noLimit, 'taken away')
    })

    // Six of ten were taken at once. Windows remember units, buckets the time until these are back: of 20 a day that is what
    // 12 take, of 4 a day what 2.4 take. A leaky bucket has a place more than wait.
    const remaining = {
      'sliding-window': { raised: 14, lowered: 0 },
      'sliding-counter': { raised: 14, lowered: 0 },
      'fixed-window': { raised: 14, lowered: 0 },
      'token-bucket': { raised: 8, lowered: 1 },
      'leaky-bucket': { raised: 9, lowered: 2 },
    }
    for (const algorithm of ALGORITHMS) {
      for (const [change, limit] of Object.entries({ raised: 20, lowered: 4 })) {
        test(`${algorithm}: a limit that is ${change} keeps what was consumed`, async (t) => {
          const limiter = make(t, { algorithm, limit: 10, window: '1d' })
          const before = (await limiter.check('a', { cost: 6 })).remaining
          limiter.configure('a', { limit, window: '1d' })
          const there = remaining[algorithm][change]
          if (change === 'raised') assert.ok(there > before, 'there is more room at once')
          assertDecision(await limiter.peek('a'), { allowed: there > 0, remaining: there })
          const answers = await Promise.all(Array.from({ length: 30 }, () => limiter.isAllowed('a')))
          assert.equal(answers.filter(Boolean).length, there, 'and no more than that')
          limiter.configure('a', null)
          const taken = change === 'raised' ? 20 : 6
          const isWindow = !algorithm.endsWith('bucket')
          // A bucket that has been used up has been so under either limit.
          if (isWindow) assertDecision(await limiter.peek('a'), { remaining: Math.max(10 - taken, 0) })
          else if (change === 'raised') assertDecision(await limiter.peek('a'), { remaining: 0 })
        })
      }
    }
  })
}

describe('several limits, what is in Redis', { timeout: atMost(30_000) }, () => {
  const { redis: make } = makers(() => redis)
  const names = async (prefix) => (await redisCommand(redis.port, 'KEYS', `${prefix}:*`)).sort()

  test('a key for each limit, and none for a refusal', async (t) => {
    const limiter = make(t, { limits: THREE, prefix: 'several' })
    await limiter.check(WHO, { cost: 3 })
    const written = [
      'several:all:sliding-window:global',
      'several:ip:sliding-window:::1',
      'several:user:sliding-window:u1',
    ]
    assert.deepEqual(await names('several'), written)
    assert.equal(await limiter.isAllowed({ user: WHO.user, ip: '::2' }), false)
    assert.deepEqual(await names('several'), written, 'the ip that was not charged has no key')
    for (const name of written) assert.ok((await redisCommand(redis.port, 'PTTL', name)) > 0, `${name} expires`)
  })

  test('a value of another program fails the call, and charges nobody', async (t) => {
    const limiter = make(t, { limits: THREE, prefix: 'foreign' })
    await redisCommand(redis.port, 'SET', 'foreign:all:sliding-window:global', 'something else')
    const refusal = await rejectionOf(() => limiter.check(WHO), 'a foreign value')
    assertRefusal(refusal, { type: Error, code: 'ERR_RATE_LIMIT_STATE' }, 'a foreign value')
    assert.deepEqual(await names('foreign'), ['foreign:all:sliding-window:global'])
  })

  test('while Redis is away each limit has its own fallback', async (t) => {
    const limits = [
      { name: 'a', limit: 5, window: '1d', fallback: { limit: 2 } },
      { name: 'b', limit: 4, window: '1d' },
    ]
    const redisUrl = `redis://127.0.0.1:${await freePort()}`
    const limiter = new RateLimiter({ limits, redisUrl, timeout: 50 })
    t.after(() => limiter.close())
    assertDecision(await limiter.check('k', { cost: 2 }), { allowed: true, source: 'fallback', name: 'a', limit: 2 })
    const { limits: said } = assertDecision(await limiter.check('k'), { allowed: false, source: 'fallback', name: 'a' })
    assert.equal(said[1].remaining, 2, 'all or nothing there, too')
  })
})
