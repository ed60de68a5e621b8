/** Limits that are tried before they bite: those in force decide as if alone, and what the others would have changed is told. */

import assert from 'node:assert/strict'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { after, before, describe, test } from 'node:test'

import { RateLimiter } from 'distributed-rate-limiter'

import { startRedisCluster } from '../scripts/redis-cluster.mjs'
import { startRedis } from '../scripts/redis.mjs'
import { redisCommand } from '../scripts/resp.mjs'
import { ALGORITHMS } from './support/algorithms.mjs'
import { assertDecision } from './support/decision.mjs'
import { atMost } from './support/long.mjs'
import { reportsOf } from './support/race.mjs'
import { assertRefusal, thrownBy } from './support/refusal.mjs'
import { maker, makers } from './support/stores.mjs'
import { until } from './support/wait.mjs'

const DAY = { window: '1d' }
const CHANNEL = 'distributed-rate-limiter:shadow'

/** Numbers from 0 that look random, the same in each run. */
function numbersFrom(seed) {
  let state = seed
  return (end) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return Math.floor((state / 2 ** 32) * end)
  }
}

/** What does not depend on when it is asked. */
const plain = ({ allowed, granted, limit, remaining, name }) => ({ allowed, granted, limit, remaining, name })
const tried = ({ allowed, remaining, limit }) => ({ allowed, remaining, limit })

let redis
before(async () => {
  redis = await startRedis()
})
after(() => redis?.stop())

const stores = {
  ...makers(() => redis),
  thread: maker(() => ({ redisUrl: redis.url, driver: 'thread' })),
}
// Refusals are known by default, and a call that is tried is asked for all the same.
stores.redis = maker(() => ({ redisUrl: redis.url }))

for (const [store, make] of Object.entries(stores)) {
  describe(`shadow, ${store}`, { timeout: atMost(60_000) }, () => {
    for (const algorithm of ALGORITHMS) {
      test(`a candidate by ${algorithm} does what it would do alone, and changes nothing`, async (t) => {
        const own = { limit: 6, ...DAY }
        const candidate = { limit: 4, ...DAY, algorithm }
        const both = make(t, { ...own, candidate })
        // What they know to be refused they would not ask for, and tell it as it was.
        const [alone, other] = [own, candidate].map((limit) => make(t, { ...limit, denyCache: false }))
        const counts = { agreed: 0, wouldDeny: 0, wouldAllow: 0 }
        const next = numbersFrom(7)
        for (let step = 0; step < 120; step += 1) {
          const key = `k${next(3)}`
          const options = next(3) === 0 ? { upTo: 1 + next(4) } : { cost: 1 + next(4) }
          const deed = next(12)
          if (deed < 2) {
            const verb = deed === 0 ? 'refund' : 'penalty'
            const units = 1 + next(3)
            await Promise.all([both, alone, other].map((limiter) => limiter[verb](key, units)))
          } else if (deed === 2) {
            await Promise.all([both, alone, other].map((limiter) => limiter.reset(key)))
          } else {
            const verb = deed === 3 ? 'peek' : 'check'
            const [told, ofAlone, ofOther] = [
              await both[verb](key, options),
              await alone[verb](key, options),
              await other[verb](key, options),
            ]
            assert.deepEqual(plain(told), plain(ofAlone))
            assert.equal('limits' in told, false)
            assert.deepEqual(
              told.shadow.map(({ name }) => name),
              ['candidate'],
            )
            assert.deepEqual(tried(told.shadow[0]), tried(ofOther))
            if (verb === 'peek') continue
            if (ofAlone.allowed === ofOther.allowed) counts.agreed += 1
            else counts[ofAlone.allowed ? 'wouldDeny' : 'wouldAllow'] += 1
          }
        }
        assert.deepEqual(both.stats().shadow, { candidate: counts })
        assert.ok(counts.wouldDeny > 0 && counts.agreed > 0, 'both were met')
        const { allowed, denied, limits } = both.stats()
        assert.deepEqual(limits, { default: { allowed, denied } })
      })
    }

    test('a shadow takes what the others have granted, and refuses nobody', async (t) => {
      const limits = [
        { name: 'daily', limit: 4, ...DAY, shadow: true },
        { name: 'burst', limit: 6, ...DAY },
      ]
      const limiter = make(t, { limits })
      const [told, events] = [[], []]
      limiter.on('disagreement', ({ limit, would, decision }) => events.push([limit, would, decision.remaining]))
      for (const options of [{ cost: 3 }, { cost: 2 }, { upTo: 5 }, { cost: 2 }, { upTo: 1 }]) {
        const decision = await limiter.check('a', options)
        assert.equal(decision.name, 'burst')
        assert.equal(decision.limits.length, 1)
        told.push([decision.granted, decision.remaining, decision.shadow[0].allowed, decision.shadow[0].remaining])
      }
      assert.deepEqual(told, [
        [3, 3, true, 1],
        // Two units were not there, so none was taken.
        [2, 1, false, 1],
        // One was left in earnest, and that is what it takes.
        [1, 0, true, 0],
        // Refused in earnest: the shadow only looks.
        [0, 0, false, 0],
        [0, 0, false, 0],
      ])
      assert.deepEqual(limiter.stats().shadow, { daily: { agreed: 4, wouldDeny: 1, wouldAllow: 0 } })
      assert.deepEqual(limiter.stats().limits, { burst: { allowed: 3, denied: 2 } })
      await until(() => events.length > 0, 'it is told')
      assert.deepEqual(events, [['daily', 'deny', 1]])
      assert.deepEqual(
        limiter.policies().map(({ name, role }) => [name, role]),
        [
          ['burst', undefined],
          ['daily', 'shadow'],
        ],
      )
    })

    test('a shadow with more room takes what was granted, and nothing of what was refused', async (t) => {
      const limits = [
        { name: 'burst', limit: 3, ...DAY },
        { name: 'daily', limit: 10, ...DAY, shadow: true },
      ]
      const limiter = make(t, { limits })
      const [told, events] = [[], []]
      limiter.on('disagreement', (event) => events.push(event))
      for (const options of [{ cost: 2 }, { upTo: 3 }, { cost: 2 }, { upTo: 2 }]) {
        const { granted, shadow } = await limiter.check('a', options)
        told.push([granted, shadow[0].allowed, shadow[0].remaining])
      }
      assert.deepEqual(told, [
        [2, true, 8],
        [1, true, 7],
        [0, true, 7],
        [0, true, 7],
      ])
      assert.deepEqual(limiter.stats().shadow, { daily: { agreed: 4, wouldDeny: 0, wouldAllow: 0 } })
      await new Promise(setImmediate)
      assert.deepEqual(events, [], 'those in force would refuse all the same')
    })

    test('a limiter that is tried as a whole refuses nobody', async (t) => {
      const limiter = make(t, { limit: 2, ...DAY, shadow: true })
      const told = []
      for (const options of [undefined, { cost: 7 }, { upTo: 7 }, undefined]) {
        const decision = await limiter.check('a', options)
        assert.equal(decision.retryAfterMs, 0)
        told.push([decision.allowed, decision.granted, decision.remaining, decision.shadow[0].allowed])
      }
      assert.deepEqual(told, [
        [true, 1, 1, true],
        [true, 7, 1, false],
        [true, 7, 0, true],
        [true, 1, 0, false],
      ])
      assert.equal(await limiter.isAllowed('a'), true)
      assert.equal((await limiter.acquire('a', { maxWait: 0 })).allowed, true)
      assert.deepEqual(limiter.stats().shadow, { default: { agreed: 2, wouldDeny: 4, wouldAllow: 0 } })
      assert.deepEqual(limiter.stats().limits, { default: { allowed: 6, denied: 0 } })
    })

    test('what is blocked is blocked for all of them, and an action is tried apart', async (t) => {
      const limiter = make(t, { limit: 3, ...DAY, candidate: { limit: 1, ...DAY } })
      await limiter.block('a', '1h')
      const { allowed, shadow } = await limiter.check('a')
      assert.deepEqual([allowed, shadow[0].allowed], [false, false])
      await limiter.unblock('a')
      for (const action of ['read', 'write', undefined]) {
        for (const expected of [true, false]) {
          const decision = await limiter.check('a', { action })
          assert.deepEqual([decision.allowed, decision.shadow[0].allowed], [true, expected], `${action}`)
        }
      }
    })

    test('each disagreement is told, by event and channel, and only those', async (t) => {
      const limiter = make(t, { limit: 2, ...DAY, candidate: { limit: 1, window: '1d' } })
      const [events, messages] = [[], []]
      const listener = (message) => messages.push(message)
      subscribe(CHANNEL, listener)
      t.after(() => unsubscribe(CHANNEL, listener))
      limiter.on('disagreement', (event) => events.push(event))
      assert.equal(await limiter.isAllowed('a'), true)
      assert.equal(await limiter.isAllowed('a'), true)
      assert.equal(await limiter.isAllowed('a'), false)
      await limiter.check('b', { cost: 2 })
      const atOnce = store === 'memory' ? [['c', 'candidate', 'deny', true]] : []
      if (store === 'memory') assert.deepEqual([limiter.isAllowedSync('c'), limiter.isAllowedSync('c')], [true, true])
      await until(() => messages.length === 2 + atOnce.length, 'all of them are told')
      const told = events.map(({ key, limit, would, decision }) => [key, limit, would, decision.allowed])
      assert.deepEqual(told, [['a', 'candidate', 'deny', true], ['b', 'candidate', 'deny', true], ...atOnce])
      assert.deepEqual(
        messages.map(({ limiter, ...others }) => others),
        events,
      )
      assert.ok(messages.every((message) => message.limiter === limiter))
    })

    test('of those who have waited for their turn it is told, too', async (t) => {
      const limiter = make(t, { limit: 2, ...DAY, candidate: { limit: 1, window: '1d' } })
      const events = []
      limiter.on('disagreement', ({ key, would }) => events.push([key, would]))
      for (let call = 0; call < 2; call += 1) assert.equal((await limiter.acquire('a')).allowed, true)
      await until(() => events.length > 0, 'it is told')
      assert.deepEqual(events, [['a', 'deny']])
    })

    test('a candidate would allow whom the limit refuses', async (t) => {
      const limiter = make(t, { limit: 1, ...DAY, candidate: { limit: 2, ...DAY } })
      const events = []
      limiter.on('disagreement', ({ would, decision }) => events.push([would, decision.allowed]))
      for (let call = 0; call < 3; call += 1) await limiter.check('a')
      await until(() => events.length === 1, 'it is told')
      assert.deepEqual(events, [['allow', false]])
      assert.deepEqual(limiter.stats().shadow, { candidate: { agreed: 2, wouldDeny: 0, wouldAllow: 1 } })
    })
  })
}

describe('shadow on Redis', { timeout: atMost(60_000) }, () => {
  const make = stores.redis
  let cluster
  before(async () => {
    cluster = await startRedisCluster()
  })
  after(() => cluster?.stop())

  test('a call is one script call, and its trial travels with it', async (t) => {
    const limiter = make(t, { limit: 5, ...DAY, candidate: { limit: 3, ...DAY } })
    await limiter.ready()
    for (let call = 0; call < 8; call += 1) await limiter.check('a')
    assert.equal(limiter.stats().batches, 8, 'also those that were refused: no refusal is known')
    assert.deepEqual(limiter.stats().sources.redis, 8)
  })

  test('a call that must be answered at once is refused, whoever listens', async (t) => {
    const limiter = make(t, { limit: 5, ...DAY, candidate: { limit: 3, ...DAY } })
    limiter.on('disagreement', () => {})
    const error = thrownBy(() => limiter.isAllowedSync('a'), 'it')
    assertRefusal(error, { type: Error, code: 'ERR_RATE_LIMIT_NOT_LOCAL', says: ['isAllowedSync'] }, 'it')
  })

  test('several processes keep both counts to the unit', async () => {
    const [limit, candidate, processes, calls] = [40, 25, 3, 40]
    const prefix = `processes-${process.pid}`
    const own = { limit, window: '1d', candidate: { limit: candidate, window: '1d' }, redisUrl: redis.url, prefix }
    const args = [JSON.stringify({ ...own, timeout: '30s', onStoreError: 'throw' }), 'a', calls]
    const programs = Array.from({ length: processes }, () => ({ file: 'shadow-race.mjs', args }))
    const sum = { allowed: 0, agreed: 0, wouldDeny: 0, wouldAllow: 0 }
    for (const report of await reportsOf(programs)) for (const name in sum) sum[name] += report[name]
    const agreed = processes * calls - (limit - candidate)
    assert.deepEqual(sum, { allowed: limit, agreed, wouldDeny: limit - candidate, wouldAllow: 0 })
  })

  test('a damaged key of a trial is nobody else’s failure', async (t) => {
    const limiter = make(t, { limit: 2, ...DAY, candidate: { limit: 1, ...DAY }, prefix: 'damaged' })
    await redisCommand(redis.port, 'SET', 'damaged:candidate:sliding-window:a', 'damaged')
    const decision = await limiter.check('a')
    assertDecision(decision, { allowed: true, remaining: 1 })
    assert.deepEqual(limiter.stats().shadow, { candidate: { agreed: 0, wouldDeny: 0, wouldAllow: 0 } })
    assert.equal(limiter.stats().storeErrors, 0)
  })

  test('while Redis is away nobody is tried, and nothing is counted', async (t) => {
    const down = { redisUrl: 'redis://127.0.0.1:1', onStoreError: 'local', timeout: '200ms' }
    const limiter = make(t, { limit: 2, ...DAY, candidate: { limit: 1, ...DAY }, ...down })
    const told = []
    for (let call = 0; call < 3; call += 1) told.push(await limiter.check('a'))
    assert.deepEqual(
      told.map(({ allowed }) => allowed),
      [true, true, false],
    )
    assert.ok(told.every((decision) => decision.source === 'fallback' && !('shadow' in decision)))
    assert.deepEqual(limiter.stats().shadow, { candidate: { agreed: 0, wouldDeny: 0, wouldAllow: 0 } })
    for (const onStoreError of ['local', 'allow', 'deny']) {
      const whole = make(t, { limit: 1, ...DAY, shadow: true, ...down, onStoreError })
      for (let call = 0; call < 2; call += 1) assert.equal(await whole.isAllowed('a'), true)
      assert.deepEqual(whole.stats().shadow, { default: { agreed: 0, wouldDeny: 0, wouldAllow: 0 } })
    }
  })

  for (const hashTag of [false, true]) {
    test(`on a cluster, with hashTag ${hashTag}`, async (t) => {
      const redisUrl = cluster.nodes.map(({ url }) => url)
      const limiter = make(t, { limit: 3, ...DAY, candidate: { limit: 2, ...DAY }, hashTag, redisUrl })
      for (const key of ['a', 'b', 'c', 'd']) {
        const told = []
        for (let call = 0; call < 4; call += 1) {
          const { allowed, shadow } = await limiter.check(key)
          told.push([allowed, shadow[0].allowed])
        }
        assert.deepEqual(told, [
          [true, true],
          [true, true],
          [true, false],
          [false, false],
        ])
      }
      assert.deepEqual(limiter.stats().shadow, { candidate: { agreed: 12, wouldDeny: 4, wouldAllow: 0 } })
      const [alone, other] = [{ limit: 3 }, { limit: 2 }].map((own) => stores.memory(t, { ...own, ...DAY }))
      const next = numbersFrom(11)
      for (let step = 0; step < 100; step += 1) {
        const key = `random-${next(4)}`
        const options = next(2) === 0 ? { upTo: 1 + next(2) } : { cost: 1 + next(2) }
        if (next(6) === 0) await Promise.all([limiter, alone, other].map((each) => each.refund(key, 1)))
        const told = await limiter.check(key, options)
        assert.deepEqual(plain(told), plain(await alone.check(key, options)))
        assert.deepEqual(tried(told.shadow[0]), tried(await other.check(key, options)))
      }
    })
  }
})

describe('what cannot be tried', () => {
  const good = { limit: 1, window: '1m' }
  const candidate = { limit: 2, window: '1m' }
  const named = (name, more) => ({ name, ...good, ...more })
  const cases = [
    ['a shadow that is a word', { ...good, shadow: 'yes' }, ['`shadow`', 'true or false', 'yes']],
    ['among limits', { limits: [named('a'), named('b', { shadow: 1 })] }, ['`limits[1].shadow`', 'true or false']],
    ['nothing in force', { limits: [named('a', { shadow: true })] }, ['`limits`', 'nobody would ever be refused']],
    ['both', { ...good, shadow: true, candidate }, ['`candidate`', '`shadow`']],
    ['a candidate without a window', { ...good, candidate: { limit: 2 } }, ['`candidate.window`']],
    ['a candidate that is a number', { ...good, candidate: 5 }, ['`candidate`', '5']],
    ['a candidate beside limits', { limits: [named('a')], candidate }, ['`candidate` and `limits`', 'shadow: true']],
    ['a shadow beside limits', { limits: [named('a')], shadow: true }, ['`shadow` and `limits`']],
    ['a limit that comes later', { limit: 'configured', candidate }, ["limit: 'configured'"]],
    ['its name', { limits: [named('candidate')] }, ['`limits[0].name`', "'candidate'"]],
    ['a fallback', { ...good, shadow: true, fallback: { limit: 1 } }, ['`fallback` and `shadow`']],
    ['shared', { ...good, shadow: true, shared: 'shadow-test' }, ['`shared` and `shadow`']],
    [
      'newKeys',
      {
        limits: [named('a', { by: 'user' }), named('b', { by: 'user', shadow: true })],
        newKeys: { ...good, by: 'ip' },
      },
      ['`newKeys` and `shadow`'],
    ],
  ]
  for (const [what, options, says] of cases) {
    test(what, () => {
      const error = thrownBy(() => new RateLimiter(options), what)
      assert.equal(error.code, 'ERR_RATE_LIMIT_OPTION')
      for (const words of says) assert.ok(error.message.includes(words), error.message)
    })
  }

  test('a fallback of a candidate, and a cache', () => {
    const unknown = thrownBy(
      () => new RateLimiter({ ...good, candidate: { ...candidate, fallback: {} } }),
      'a fallback',
    )
    assert.equal(unknown.code, 'ERR_RATE_LIMIT_UNKNOWN_OPTION')
    const cacheClient = { get() {}, set() {}, incrementAndGet() {}, decrementAndGet() {} }
    const cache = thrownBy(() => new RateLimiter({ ...good, shadow: true, cacheClient }), 'a cache')
    assert.equal(cache.code, 'ERR_RATE_LIMIT_UNSUPPORTED')
  })
})
