/** `allow`, `deny` and `overrides` of limits that count by fields of the key, in memory and on Redis, and what is not accepted of them. */

import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'

import { RateLimiter } from 'distributed-rate-limiter'

import { startRedis } from '../scripts/redis.mjs'
import { redisCommand } from '../scripts/resp.mjs'
import { kind, range, unknown } from './support/bad-input.mjs'
import { assertRefusal, rejectionOf, thrownBy } from './support/refusal.mjs'
import { makers } from './support/stores.mjs'
import { until } from './support/wait.mjs'

let redis
before(async () => {
  redis = await startRedis()
})
after(() => redis.stop())

const DAY = { window: '1d' }
const LIMITS = [
  { name: 'second', by: 'user', limit: 3, ...DAY },
  { name: 'day', by: 'user', limit: 30, ...DAY },
  { name: 'address', by: 'ip', limit: 20, ...DAY },
]
const RULES = {
  limits: LIMITS,
  policies: { gold: { limit: 70, ...DAY } },
  overrides: {
    user: {
      'partner:*': { limits: { day: { policy: 'gold' } } },
      'partner:acme': { limits: { second: { limit: 7, ...DAY }, day: { limit: 700, ...DAY } } },
    },
    ip: { '10.0.0.0/8': { limit: 1, ...DAY } },
  },
  allow: { user: ['admin:*', 'evil:friend'], ip: ['10.9.0.0/16'] },
  deny: { user: ['evil:*'], ip: ['203.0.113.0/24', '10.9.9.0/24'] },
}
const PLAIN = [3, 30, 20]
const NOWHERE = '192.0.2.1'

for (const [store, limiterOf] of Object.entries(makers(() => redis))) {
  describe(`rules by fields, ${store}`, { timeout: 60_000 }, () => {
    for (const [user, ip, allowed, held, from] of [
      ['alice', NOWHERE, true, PLAIN, 'default'],
      ['partner:1', NOWHERE, true, [3, 70, 20], 'override'],
      ['partner:acme', NOWHERE, true, [7, 700, 20], 'override'],
      ['partner:acme', '::ffff:10.1.2.3', true, [7, 700, 1], 'override'],
      ['alice', '10.1.2.3', true, [3, 30, 1], 'override'],
      ['admin:1', NOWHERE, true, PLAIN, 'allow-list'],
      ['admin:1', '10.1.2.3', true, [3, 30, 20], 'allow-list'],
      ['partner:1', '10.9.1.1', true, PLAIN, 'allow-list'],
      ['admin:1', '203.0.113.9', false, PLAIN, 'deny-list'],
      ['alice', '10.9.9.1', false, PLAIN, 'deny-list'],
      ['evil:1', '10.9.1.1', false, PLAIN, 'deny-list'],
      ['evil:friend', NOWHERE, true, PLAIN, 'allow-list'],
      [`evil:${'x'.repeat(5_000)}`, NOWHERE, false, PLAIN, 'deny-list'],
    ]) {
      test(`${user.slice(0, 20)} from ${ip}: ${from}`, async (t) => {
        for (const hashKeys of [false, 'a secret of all servers']) {
          const limiter = limiterOf(t, { ...RULES, hashKeys })
          const key = { user, ip }
          const decision = await limiter.check(key)
          assert.equal(decision.allowed, allowed)
          assert.deepEqual(
            decision.limits.map(({ limit }) => limit),
            held,
          )
          const isListed = from.endsWith('-list')
          assert.equal(decision.reason, isListed ? from : undefined)
          assert.equal(decision.source, isListed ? 'list' : store)
          const explained = await limiter.explain(key)
          assert.equal(explained.from, from)
          assert.deepEqual(
            explained.limits.map(({ limit }) => limit),
            held,
          )
          if (!isListed) continue
          assert.equal((await limiter.refund(key)).reason, from)
          assert.equal((await limiter.penalty(key, 3)).reason, from)
          assert.equal((await limiter.acquire(key)).reason, from)
          assert.equal((await limiter.check(key, { action: 'a' })).reason, from)
        }
      })
    }

    test('what is admitted is what the override says, and no more', async (t) => {
      const limiter = limiterOf(t, RULES)
      const calls = Array.from({ length: 20 }, () => limiter.isAllowed({ user: 'partner:acme', ip: NOWHERE }))
      assert.equal((await Promise.all(calls)).filter(Boolean).length, 7)
      assert.equal(await limiter.isAllowed({ user: 'alice', ip: '10.1.2.3' }), true)
      assert.equal(await limiter.isAllowed({ user: 'bob', ip: '10.1.2.3' }), false)
      assert.equal(await limiter.isAllowed({ user: 'bob', ip: NOWHERE }), true)
      const { lists } = limiter.stats()
      assert.deepEqual(lists, { allowed: 0, denied: 0 })
    })

    test('new keys are guarded, and who is on a list brings none', async (t) => {
      const newKeys = { by: 'ip', limit: 2, ...DAY }
      const limiter = limiterOf(t, { ...RULES, newKeys })
      const from = (user) => limiter.check({ user, ip: NOWHERE })
      for (let count = 0; count < 5; count += 1) {
        const { allowed, limits } = await from(`admin:${count}`)
        assert.deepEqual([allowed, limits.at(-1).name, limits.at(-1).remaining], [true, 'newKeys', 2])
      }
      assert.equal((await from('partner:1')).allowed, true)
      assert.equal((await from('partner:2')).allowed, true)
      const { allowed, name } = await from('partner:3')
      assert.deepEqual([allowed, name], [false, 'newKeys'])
      assert.equal((await from('partner:1')).allowed, true)
    })

    test('an action has its own limit, and the lists of its field', async (t) => {
      const actions = { login: { by: 'net', limit: 2, ...DAY } }
      const limiter = limiterOf(t, { ...RULES, actions, deny: { net: ['bad'] } })
      const login = (net) => limiter.check({ user: 'partner:acme', ip: NOWHERE, net }, { action: 'login' })
      const { allowed, limit } = await login('good')
      assert.deepEqual([allowed, limit], [true, 2])
      assert.equal((await login('bad')).reason, 'deny-list')
      const other = await limiter.check({ user: 'partner:acme', ip: NOWHERE }, { action: 'search' })
      assert.deepEqual(
        other.limits.map(({ limit: of }) => of),
        [7, 700, 20],
      )
    })

    test('an update replaces them, and what was taken is taken', async (t) => {
      const limiter = limiterOf(t, RULES)
      const key = { user: 'partner:acme', ip: NOWHERE }
      await limiter.check(key, { cost: 2 })
      limiter.update({
        limits: LIMITS,
        overrides: { user: { 'partner:*': { limits: { second: { limit: 5, ...DAY } } } } },
      })
      assert.deepEqual(
        (await limiter.peek(key)).limits.map(({ remaining }) => remaining),
        [3, 28, 18],
      )
      assert.equal(await limiter.isAllowed({ user: 'evil:1', ip: NOWHERE }), true)
      limiter.update({ limits: LIMITS, deny: { user: ['partner:*'] } })
      assert.equal((await limiter.check(key)).reason, 'deny-list')
      const refusal = thrownBy(() => limiter.update({ limits: LIMITS, deny: { usr: [] } }), 'no field')
      assertRefusal(refusal, { ...unknown, says: [/`deny` has no `usr`.*`ip`, `user`/] }, 'no field')
      assert.equal((await limiter.check(key)).reason, 'deny-list')
    })
  })
}

test('nothing of who is on a list reaches Redis', async (t) => {
  const limiter = new RateLimiter({ ...RULES, prefix: 'by-field', redisUrl: redis.url, timeout: '30s' })
  t.after(() => limiter.close())
  for (const key of [
    { user: 'admin:1', ip: NOWHERE },
    { user: 'alice', ip: '203.0.113.1' },
  ])
    await limiter.check(key)
  assert.deepEqual(await redisCommand(redis.port, 'KEYS', 'by-field:*'), [])
})

test('a fleet may share them', { timeout: 60_000 }, async (t) => {
  const options = {
    limits: LIMITS,
    redisUrl: redis.url,
    timeout: '30s',
    prefix: 'shares',
    policies: { shared: 'by-field' },
  }
  const limiters = [new RateLimiter(options), new RateLimiter(options)]
  t.after(() => Promise.all(limiters.map((limiter) => limiter.close())))
  await Promise.all(limiters.map((limiter) => limiter.ready({ timeout: '30s' })))
  const bad = await rejectionOf(() => limiters[0].publishPolicies({ ...RULES, deny: { ip: ['a*b'] } }))
  assertRefusal(bad, { ...range, says: [/`deny\.ip\[0\]`.*not at the end/] }, 'no pattern')
  await limiters[0].publishPolicies(RULES)
  await until(() => limiters[1].sharedPolicies().version === 1, 'the other has heard of it')
  for (const limiter of limiters) {
    assert.equal((await limiter.check({ user: 'alice', ip: '203.0.113.1' })).reason, 'deny-list')
    assert.equal((await limiter.check({ user: 'partner:acme', ip: NOWHERE })).limits[1].limit, 700)
  }
})

test('a field that is named and has a list must be there where its limit asks for it', async () => {
  const limiter = new RateLimiter(RULES)
  const refusal = await rejectionOf(() => limiter.check({ user: 'admin:1' }))
  assert.equal(refusal.code, 'ERR_RATE_LIMIT_KEY')
})

const OVER = (field, own) => ({ overrides: { [field]: { a: own } } })
const GOOD = { limit: 10, window: '1m' }

describe('what is no rule by fields', () => {
  for (const [title, options, error, says] of [
    ['an array', { deny: ['a'] }, kind, /`deny` must be an object by the fields of the key.*an array/],
    ['a text', { allow: 'a' }, kind, /`allow` must be an object by the fields/],
    ['null', { allow: null }, kind, /`allow`.*null/],
    ['a field with a text', { deny: { ip: 'a' } }, kind, /`deny\.ip` must be an array of patterns/],
    ['a field with a number', { deny: { ip: ['a', 5] } }, kind, /`deny\.ip\[1\]` must be a pattern.*5/],
    ['a field of nobody', { deny: { usr: ['a'] } }, unknown, /`deny` has no `usr`.*`ip`, `user`/],
    ['a pattern that is none', { deny: { ip: ['10.0.0.1/8'] } }, range, /`deny\.ip\[0\]`.*10\.0\.0\.0\/8/],
    ['one pattern twice', { allow: { ip: ['a'] }, deny: { ip: ['a'] } }, kind, /`allow\.ip\[0\]`.*`deny\.ip\[0\]`/],
    ['overrides by patterns', { overrides: { 'partner:*': GOOD } }, unknown, /`overrides` has no `partner:\*`/],
    ['overrides in an array', { overrides: [] }, kind, /`overrides` must be an object by the fields/],
    ['an override that is a number', OVER('ip', 5), kind, /`overrides\.ip\.a` must be an object/],
    ['an override of nothing', OVER('ip', { ...GOOD, limit: 0 }), range, /`overrides\.ip\.a\.limit`/],
    ['an override of two limits', OVER('user', GOOD), kind, /`second` and `day` count by `user`: say which/],
    ['an override of no limit', OVER('user', { limits: {} }), kind, /`overrides\.user\.a\.limits` names no limit/],
    ['an override of another limit', OVER('user', { limits: { address: GOOD } }), unknown, /`second`, `day`/],
    ['an override of an unknown limit', OVER('user', { limits: { dy: GOOD } }), unknown, /has no `dy`/],
    ['numbers of all and of each', OVER('ip', { ...GOOD, limits: {} }), kind, /were both given/],
    [
      'wrong numbers of one',
      OVER('user', { limits: { day: { limit: 1 } } }),
      kind,
      /`overrides\.user\.a\.limits\.day\.window`/,
    ],
    ['a misspelt word', OVER('user', { limits: { day: { ...GOOD, limt: 1 } } }), unknown, /did you mean `limit`/],
    ['a policy that is none', OVER('ip', { policy: 'gold' }), range, /`overrides\.ip\.a\.policy` is 'gold'/],
    [
      '`limits` of a limiter with one',
      { limits: undefined, ...GOOD, overrides: { a: { limits: {} } } },
      unknown,
      /`limits`/,
    ],
    [
      'fields of a limiter without',
      { limits: undefined, ...GOOD, deny: { ip: ['a'] } },
      kind,
      /`deny` must be an array/,
    ],
  ]) {
    test(title, () => {
      const refusal = thrownBy(() => new RateLimiter({ limits: LIMITS, ...options }), title)
      assertRefusal(refusal, { ...error, says: [says] }, title)
    })
  }
})
