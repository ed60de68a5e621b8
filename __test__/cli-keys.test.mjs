/** The command line on single keys: every name that one has, every state against `peek`, and what others hear of a change. */

import assert from 'node:assert/strict'
import { after, before, beforeEach, describe, test } from 'node:test'

import { startRedis } from '../scripts/redis.mjs'
import { redisCommand } from '../scripts/resp.mjs'
import { ALGORITHMS, BUCKETS } from './support/algorithms.mjs'
import { limitersOn, told, toldJson } from './support/cli.mjs'
import { until } from './support/wait.mjs'

let redis
let env
before(async () => {
  redis = await startRedis()
  env = { REDIS_URL: redis.url }
})
after(() => redis.stop())
beforeEach(() => redisCommand(redis.port, 'FLUSHALL'))

const limiterFor = limitersOn(() => redis)

describe('inspect', () => {
  const POLICIES = [
    ...ALGORITHMS.map((algorithm) => ({ algorithm, limit: 20, window: '1h' })),
    ...BUCKETS.map((algorithm) => ({ algorithm, limit: 20, window: '1h', burst: 7 })),
    ...ALGORITHMS.filter((name) => !BUCKETS.includes(name)).map((algorithm) => ({
      ...{ algorithm, limit: 5, window: '1h', burst: { extra: 10, window: '1d' } },
    })),
    { algorithm: 'sliding-window', limit: 20, window: '1h', resolution: 4 },
    { algorithm: 'fixed-window', limit: 20, window: '1h', align: true },
  ]
  const optionsOf = ({ algorithm, limit, window, burst, resolution, align }) => [
    ...['--algorithm', algorithm, '--limit', limit, '--window', window],
    ...(burst === undefined ? [] : ['--burst', typeof burst === 'object' ? `${burst.extra}/${burst.window}` : burst]),
    ...(resolution === undefined ? [] : ['--resolution', resolution]),
    ...(align ? ['--align'] : []),
  ]

  for (const policy of POLICIES) {
    test(`says what a call would be told: ${JSON.stringify(policy)}`, async (t) => {
      const limiter = limiterFor(t, policy)
      for (const [key, cost] of Object.entries({ some: 3, more: 6, all: 999, none: 0 })) {
        if (cost > 0)
          await limiter.check(key, cost === 999 ? { upTo: 999 > 20 ? undefined : cost, cost: undefined } : { cost })
        if (cost === 999) while ((await limiter.check(key)).allowed);
        const before = await limiter.peek(key)
        const { limits } = await toldJson(['inspect', key, ...optionsOf(policy)], { env })
        const after = await limiter.peek(key)
        assert.equal(limits.length, 1)
        const [{ allowed, limit, remaining, used, blocked, retryAfterMs }] = limits
        assert.equal(blocked, false)
        assert.equal(limit, before.limit)
        assert.equal(used, limit - remaining)
        // Between the two some may have come back.
        assert.ok(remaining >= before.remaining && remaining <= after.remaining, `${key}: ${remaining}`)
        assert.ok(allowed === before.allowed || allowed === after.allowed)
        assert.ok(retryAfterMs <= before.retryAfterMs && retryAfterMs >= after.retryAfterMs)
      }
    })

    test(`without the numbers says what can be known: ${JSON.stringify(policy)}`, async (t) => {
      const limiter = limiterFor(t, policy)
      await limiter.check('alice', { cost: 4 })
      const before = await limiter.peek('alice')
      const earlier = Date.now()
      const [seen] = (await toldJson(['inspect', 'alice'], { env })).limits
      const later = Date.now()
      assert.equal(seen.algorithm, policy.algorithm)
      assert.equal(seen.blocked, false)
      assert.equal(seen.limit, undefined)
      if (BUCKETS.includes(policy.algorithm)) {
        assert.equal(seen.used, undefined)
        assert.ok(seen.fullInMs <= before.resetAt - earlier + 2 && seen.fullInMs >= before.resetAt - later - 2)
      } else {
        assert.equal(seen.used, 4)
        assert.equal(seen.hasBurst ?? false, typeof policy.burst === 'object')
        assert.equal(seen.isBurstUsed ?? false, false)
        assert.equal(seen.fullInMs, undefined)
      }
      await limiter.block('alice', '2h')
      const [blocked] = (await toldJson(['inspect', 'alice'], { env })).limits
      assert.equal(blocked.blocked, true)
      assert.ok(blocked.blockedForMs > 7_100_000 && blocked.blockedForMs <= 7_200_000)
      const { stdout } = await told(['inspect', 'alice', ...optionsOf(policy)], { env })
      assert.match(stdout, /blocked +for (1 h 59 min|2 h) more: every call is refused/)
    })
  }

  test('a burst that is used is told apart from the windows', async (t) => {
    const limiter = limiterFor(t, { limit: 5, window: '1h', burst: { extra: 10, window: '1d' } })
    await limiter.check('alice', { cost: 8 })
    const [{ used, hasBurst, isBurstUsed }] = (await toldJson(['inspect', 'alice'], { env })).limits
    assert.deepEqual({ used, hasBurst, isBurstUsed }, { used: 5, hasBurst: true, isBurstUsed: true })
    const without = await told(['inspect', 'alice', '--limit', '5', '--window', '1h'], { env })
    assert.equal(without.code, 2)
    assert.match(without.stderr, /give --burst as units\/window/)
  })

  test('nothing is changed by it', async (t) => {
    const limiter = limiterFor(t, { limit: 20, window: '1h' })
    await limiter.check('alice', { cost: 4 })
    const name = 'rl:default:sliding-window:alice'
    const value = await redisCommand(redis.port, 'GETRANGE', name, 0, -1)
    await told(['inspect', 'alice'], { env })
    await told(['inspect', 'alice', '--limit', '2', '--window', '1s'], { env })
    await told(['top'], { env })
    await told(['watch', '--count', '1'], { env })
    assert.equal(await redisCommand(redis.port, 'GETRANGE', name, 0, -1), value)
    assert.deepEqual(await redisCommand(redis.port, 'KEYS', '*'), [name])
  })

  test('of two algorithms under one name it is asked whose the numbers are', async (t) => {
    for (const algorithm of ['token-bucket', 'fixed-window'])
      await limiterFor(t, { limit: 9, window: '1h', algorithm }).check('alice')
    const end = await told(['inspect', 'alice', '--limit', '9', '--window', '1h'], { env })
    assert.equal(end.code, 2)
    assert.match(end.stderr, /fixed-window, token-bucket: say by --algorithm/)
    const own = ['--limit', '9', '--window', '1h', '--algorithm', 'fixed-window']
    assert.equal((await toldJson(['inspect', 'alice', ...own], { env })).limits[0].remaining, 8)
  })

  test('numbers are those of the limit without a name, unless it is said of which', async (t) => {
    const limiter = limiterFor(t, { limit: 9, window: '1h' })
    await limiter.check('alice')
    await limiter.check('alice', { action: 'up', cost: 3 })
    const left = async (...args) => {
      const { limits } = await toldJson(['inspect', 'alice', '--limit', '9', '--window', '1h', ...args], { env })
      return limits.map(({ remaining }) => remaining)
    }
    assert.deepEqual(await left(), [8])
    assert.deepEqual(await left('--action', 'up'), [6])
  })

  test('its limits come in one order, whatever that of Redis is', async (t) => {
    const limiter = limiterFor(t, { limit: 9, window: '1h' })
    for (const action of ['c', 'a', 'f', 'd', 'b', 'e', 'h', 'g']) await limiter.check('alice', { action })
    const { limits } = await toldJson(['inspect', 'alice'], { env })
    assert.equal(limits.map(({ action }) => action).join(''), 'abcdefgh')
  })

  test('whoever is not stored is said not to be, and has all of a limit whose numbers are given', async () => {
    const { code, stdout } = await told(['inspect', 'nobody'], { env })
    assert.equal(code, 0)
    assert.match(stdout, /Nothing is counted of nobody in redis:/)
    const named = await told(['inspect', 'nobody', '--limit-name', 'daily'], { env })
    assert.match(named.stdout, /Nothing is counted of nobody under the limit daily/)
    const fresh = await told(['inspect', 'nobody', '--limit', '5', '--window', '1m', '--algorithm', 'token-bucket'], {
      env,
    })
    assert.match(fresh.stdout, /used +0 of 5[\s\S]*stored as +nothing: it is as good as new/)
    assert.deepEqual(await redisCommand(redis.port, 'KEYS', '*'), [])
  })

  test('what another program has written is said to be no state', async () => {
    await redisCommand(redis.port, 'SET', 'rl:default:sliding-window:alice', 'hello')
    await redisCommand(redis.port, 'RPUSH', 'rl:default:token-bucket:alice', 'hello')
    const { limits } = await toldJson(['inspect', 'alice'], { env })
    assert.deepEqual(
      limits.map(({ isForeign }) => isForeign),
      [true, true],
    )
    const { code, stdout } = await told(['inspect', 'alice'], { env })
    assert.equal(code, 0)
    assert.match(stdout, /no state of this algorithm/)
  })
})

describe('every name that a limiter gives a key', () => {
  const AWKWARD = [
    'alice',
    'a:b',
    'b',
    '{a}',
    'a{b}c',
    '}',
    '100%',
    '%7B',
    '*',
    'a*',
    '?',
    '[a-z]',
    '\\',
    'ключ 日本',
    ' ',
    'x'.repeat(1_024),
    'x'.repeat(1_025),
    'default:sliding-window:b',
  ]
  const one = { limit: 9, window: '1h' }
  const rows = {
    'one limit': [{ ...one }, (key) => key, ['default']],
    'another prefix': [{ ...one, prefix: 'a[b]*:c' }, (key) => key, ['default'], ['--prefix', 'a[b]*:c']],
    'hashTag: true': [{ ...one, hashTag: true }, (key) => key, ['default']],
    hashKeys: [
      { ...one, hashKeys: 'at least sixteen characters' },
      (key) => key,
      ['default'],
      ['--hash-keys-env', 'SECRET'],
    ],
    'hashKeys and hashTag': [
      { ...one, hashTag: true, hashKeys: 'at least sixteen characters' },
      (key) => key,
      ['default'],
      ['--hash-keys-env', 'SECRET'],
    ],
    'several limits': [
      {
        limits: [
          { name: 'a', ...one },
          { name: 'b.c-d_e', ...one, algorithm: 'fixed-window' },
        ],
      },
      (key) => key,
      ['a', 'b.c-d_e'],
    ],
    fields: [
      {
        limits: [
          { name: 'u', by: 'user', ...one },
          { name: 'all', by: 'global', limit: 99, window: '1h' },
        ],
      },
      (user) => ({ user }),
      ['u'],
    ],
    "hashTag: 'field'": [
      { hashTag: 'tenant', limits: [{ name: 'u', by: 'user', ...one }] },
      (user) => ({ user, tenant: 't}1%' }),
      ['u'],
      ['--owner', 't}1%'],
    ],
  }

  for (const [what, [options, keyOf, limitNames, args = []]] of Object.entries(rows)) {
    test(`is found and forgotten, and nobody else's: ${what}`, async (t) => {
      const limiter = limiterFor(t, options)
      for (const key of AWKWARD) await limiter.check(keyOf(key))
      const with_ = { env: { ...env, SECRET: 'at least sixteen characters' } }
      const names = (limits) => limits.map(({ name }) => name).sort()
      for (const key of AWKWARD) {
        const { limits } = await toldJson(
          ['inspect', ...args, '--', key].filter((word) => word !== '--' || key.startsWith('-')),
          with_,
        )
        assert.deepEqual(names(limits), limitNames, `inspect ${key}`)
        for (const name of limitNames) {
          const direct = await toldJson(['inspect', key, ...args, '--limit-name', name], with_)
          assert.deepEqual(
            direct.limits.map(({ redisKey }) => redisKey),
            limits.filter((limit) => limit.name === name).map(({ redisKey }) => redisKey),
          )
        }
      }
      const size = await redisCommand(redis.port, 'DBSIZE')
      for (const [at, key] of AWKWARD.entries()) {
        const { limits } = await toldJson(['reset', key, ...args], with_)
        assert.deepEqual(names(limits), limitNames, `reset ${key}`)
        assert.equal(await redisCommand(redis.port, 'DBSIZE'), size - limitNames.length * (at + 1), `reset ${key}`)
      }
    })
  }

  test('of several only those of the algorithm or the owner that is named', async (t) => {
    const limits = [{ name: 'u', by: 'user', ...one }]
    for (const algorithm of ['fixed-window', 'token-bucket']) {
      const limiter = limiterFor(t, { hashTag: 'tenant', limits: limits.map((limit) => ({ ...limit, algorithm })) })
      for (const tenant of ['acme', 'umbrella']) await limiter.check({ user: 'alice', tenant })
    }
    const found = async (...args) => {
      const { limits } = await toldJson(['inspect', 'alice', ...args], { env })
      return limits.map(({ algorithm, owner }) => `${algorithm} ${owner}`).sort()
    }
    assert.equal((await found()).length, 4)
    assert.deepEqual(await found('--algorithm', 'token-bucket'), ['token-bucket acme', 'token-bucket umbrella'])
    assert.deepEqual(await found('--owner', 'acme'), ['fixed-window acme', 'token-bucket acme'])
  })

  test('actions are told apart, whatever signs they have', async (t) => {
    const limiter = limiterFor(t, { ...one, actions: { 'up:load': { limit: 5, window: '1h' } } })
    for (const action of ['up:load', 'a@b', '100%', '{x}']) await limiter.check('alice', { action })
    await limiter.check('alice')
    const actions = (await toldJson(['inspect', 'alice'], { env })).limits.map(({ action }) => action ?? '').sort()
    assert.deepEqual(actions, ['', '100%', 'a@b', 'up:load', '{x}'])
    assert.deepEqual(
      (await toldJson(['reset', 'alice', '--action', 'a@b'], { env })).limits.map(({ action }) => action),
      ['a@b'],
    )
    assert.equal((await limiter.peek('alice', { action: 'a@b' })).remaining, 9)
    assert.equal((await limiter.peek('alice', { action: '{x}' })).remaining, 8)
    assert.equal((await toldJson(['inspect', 'alice'], { env })).limits.length, 4)
  })

  test('new identities of a source can be looked at and forgotten', async (t) => {
    const limits = [{ name: 'user', by: 'user', limit: 9, window: '1h' }]
    const limiter = limiterFor(t, { limits, newKeys: { limit: 1, window: '1h', by: 'ip' } })
    await limiter.check({ user: 'alice', ip: '::1' })
    assert.equal((await limiter.check({ user: 'bob', ip: '::1' })).allowed, false)
    const [{ name, used }] = (await toldJson(['inspect', '::1'], { env })).limits
    assert.deepEqual({ name, used }, { name: 'newKeys', used: 1 })
    await told(['reset', '::1'], { env })
    assert.equal((await limiter.check({ user: 'bob', ip: '::1' })).allowed, true)
  })
})

describe('block, unblock, reset', () => {
  for (const policy of [
    { limit: 5, window: '1h' },
    { limit: 5, window: '1h', burst: { extra: 2, window: '1h' } },
    { algorithm: 'leaky-bucket', limit: 5, window: '1h' },
  ]) {
    test(`what was used stays used beneath a block: ${JSON.stringify(policy)}`, async (t) => {
      const limiter = limiterFor(t, { ...policy, denyCache: false })
      await limiter.check('alice', { cost: 2 })
      const { remaining } = await limiter.peek('alice')
      assert.match((await told(['block', 'alice', '1h'], { env })).stdout, /^Blocked alice for 1h: default\.\n$/)
      const { allowed, retryAfterMs } = await limiter.peek('alice')
      assert.equal(allowed, false)
      assert.ok(retryAfterMs > 3_500_000)
      assert.match((await told(['unblock', 'alice'], { env })).stdout, /^Unblocked alice: default\.\n$/)
      assert.equal((await limiter.peek('alice')).remaining, remaining)
      assert.match((await told(['reset', 'alice'], { env })).stdout, /^Forgot alice: default\.\n$/)
      assert.deepEqual(await redisCommand(redis.port, 'KEYS', 'rl:*'), [])
    })
  }

  test('all limits of a key, or the one that is named', async (t) => {
    const limiter = limiterFor(t, { limit: 5, window: '1h', denyCache: false })
    for (const action of [undefined, 'up', 'down']) await limiter.check('alice', { action })
    const allowed = async () => {
      const answers = [undefined, 'up', 'down'].map((action) => limiter.isAllowed('alice', { action }))
      return Promise.all(answers)
    }
    await told(['block', 'alice', '1h', '--action', 'up'], { env })
    assert.deepEqual(await allowed(), [true, false, true])
    await told(['block', 'alice', '1h'], { env })
    assert.deepEqual(await allowed(), [false, false, false])
    await told(['unblock', 'alice', '--limit-name', 'default'], { env })
    assert.deepEqual(await allowed(), [true, false, false])
  })

  test('processes that know a refusal hear of it at once', async (t) => {
    const limiter = limiterFor(t, { limit: 1, window: '1h', denyCache: '1m' })
    for (const change of [
      ['reset', 'alice'],
      ['unblock', 'alice'],
    ]) {
      await redisCommand(redis.port, 'FLUSHALL')
      await limiter.reset('alice')
      if (change[0] === 'unblock') await limiter.block('alice', '1h')
      else await limiter.check('alice')
      await until(async () => (await limiter.check('alice')).source === 'deny-cache', 'the refusal was known')
      // A message is heard by whoever listens already.
      await until(async () => (await redisCommand(redis.port, 'PUBSUB', 'NUMPAT')) > 0, 'it listened')
      assert.equal((await told(change, { env })).code, 0)
      await until(async () => (await limiter.check('alice')).allowed, `it has heard of ${change[0]}`)
    }
  })

  test('a key of which nothing is stored is blocked where it is said how it is called', async (t) => {
    const end = await told(['block', 'alice', '1h'], { env })
    assert.equal(end.code, 2)
    assert.match(end.stderr, /nothing is counted of alice yet, .*--limit-name .*--algorithm/)
    assert.equal((await told(['block', 'alice', '1h', '--limit-name', 'default'], { env })).code, 2)
    const named = ['--limit-name', 'default', '--algorithm', 'token-bucket']
    assert.equal((await told(['block', 'alice', '1h', ...named], { env })).code, 0)
    const limiter = limiterFor(t, { limit: 5, window: '1h', algorithm: 'token-bucket' })
    assert.equal(await limiter.isAllowed('alice'), false)
    await told(['unblock', 'alice'], { env })
    const { code, stdout } = await told(['reset', 'nobody'], { env })
    assert.equal(code, 0)
    assert.match(stdout, /Nothing is counted of nobody: there was nothing to do/)
  })
})
