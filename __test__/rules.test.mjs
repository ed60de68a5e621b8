/** `allow`, `deny`, `overrides` and patterns of actions, in memory and on Redis, and what is not accepted of them. */

import assert from 'node:assert/strict'
import { BlockList } from 'node:net'
import { after, before, describe, test } from 'node:test'

import { DistributedRateLimiter, RateLimiter } from 'distributed-rate-limiter'
import { rateLimit } from 'distributed-rate-limiter/http'

import { startRedis } from '../scripts/redis.mjs'
import { redisCommand } from '../scripts/resp.mjs'
import { kind, range, unknown } from './support/bad-input.mjs'
import { assertRefusal, rejectionOf, thrownBy } from './support/refusal.mjs'
import { makers } from './support/stores.mjs'

let redis
before(async () => {
  redis = await startRedis()
})
after(() => redis.stop())

const MINUTE = { window: '1d' }
const RULES = {
  limit: 3,
  ...MINUTE,
  overrides: {
    'user:42': { limit: 10, ...MINUTE },
    'partner:*': { policy: 'gold' },
    '10.0.0.0/8': { limit: 1, ...MINUTE },
  },
  policies: { gold: { limit: 7, ...MINUTE } },
  allow: ['healthcheck', 'internal:*', '192.168.0.0/16', '10.9.0.0/16'],
  deny: ['mallory', 'internal:mallory', '203.0.113.0/24', '2001:db8:bad::/48'],
}

for (const [store, limiterOf] of Object.entries(makers(() => redis))) {
  describe(`rules, ${store}`, { timeout: 60_000 }, () => {
    for (const [key, allowed, limit, reason] of [
      ['alice', true, 3],
      ['user:42', true, 10],
      ['user:421', true, 3],
      ['partner:', true, 7],
      ['partner:acme', true, 7],
      ['10.1.2.3', true, 1],
      ['::ffff:10.1.2.3', true, 1],
      ['10.9.2.3', true, 3, 'allow-list'],
      ['192.168.7.7', true, 3, 'allow-list'],
      ['healthcheck', true, 3, 'allow-list'],
      ['internal:cron', true, 3, 'allow-list'],
      [`internal:${'x'.repeat(5_000)}`, true, 3, 'allow-list'],
      ['internal:mallory', false, 3, 'deny-list'],
      ['mallory', false, 3, 'deny-list'],
      ['::ffff:203.0.113.9', false, 3, 'deny-list'],
      ['2001:db8:bad:1::/56', false, 3, 'deny-list'],
    ]) {
      test(`${key.slice(0, 30)} ${reason ?? limit}`, async (t) => {
        for (const hashKeys of [false, 'a secret of all servers']) {
          const limiter = limiterOf(t, { ...RULES, hashKeys })
          const decision = await limiter.check(key)
          assert.deepEqual([decision.allowed, decision.limit, decision.reason], [allowed, limit, reason])
          assert.equal(await limiter.isAllowed(key), allowed && !(limit === 1))
          assert.equal((await limiter.peek(key)).allowed, allowed && !(limit === 1))
          if (reason === undefined) {
            assert.equal(decision.source, store)
            assert.equal('reason' in decision, false)
          } else {
            assert.equal(decision.source, 'list')
            assert.equal((await limiter.refund(key)).reason, reason)
            assert.equal((await limiter.penalty(key, 3)).reason, reason)
            assert.equal((await limiter.acquire(key)).reason, reason)
            assert.equal((await limiter.check(key, { limit: 1, window: '1d', cost: 1 })).reason, reason)
            assert.equal((await limiter.check(key, { action: 'a' })).reason, reason)
          }
        }
      })
    }

    test('what a list decides is counted as that, and as no limit’s', async (t) => {
      const limiter = limiterOf(t, RULES)
      for (const key of ['alice', 'healthcheck', 'healthcheck', 'mallory']) await limiter.check(key, { action: 'a' })
      await limiter.peek('mallory')
      const { allowed, denied, lists, limits, actions, sources, topDenied } = limiter.stats()
      assert.deepEqual([allowed, denied, lists, sources.list], [3, 1, { allowed: 2, denied: 1 }, 3])
      assert.deepEqual(limits, { default: { allowed: 1, denied: 0 } })
      assert.deepEqual(actions, { other: { allowed: 1, denied: 0 } })
      assert.deepEqual(topDenied, [{ key: 'mallory', denied: 1 }])
    })

    test('configure beats an override, the call’s own limit both, and what was taken is taken', async (t) => {
      const limiter = limiterOf(t, RULES)
      assert.equal((await limiter.check('partner:1')).remaining, 6)
      limiter.configure('partner:1', { limit: 20, window: '1d' })
      assert.equal((await limiter.check('partner:1')).remaining, 18)
      assert.equal((await limiter.check('partner:1', { limit: 30, window: '1d' })).remaining, 27)
      limiter.configure('partner:1', null)
      assert.equal((await limiter.check('partner:1')).remaining, 3)
    })

    test('actions fall under the longest pattern, and are counted by it', async (t) => {
      const actions = { 'GET /api/users/:id': { limit: 5, ...MINUTE }, 'GET /api/*': { limit: 9, ...MINUTE } }
      const limiter = limiterOf(t, { limit: 3, ...MINUTE, actions })
      const left = async (action) => (await limiter.check('alice', { action })).remaining
      assert.equal(await left('GET /api/users/1'), 4)
      assert.equal(await left('GET /api/users/2'), 3)
      assert.equal(await left('GET /api/users/2/posts'), 8)
      assert.equal(await left('GET /other'), 2)
      const counted = limiter.stats().actions
      assert.deepEqual(counted['GET /api/users/:id'], { allowed: 2, denied: 0 })
      assert.deepEqual(counted.other, { allowed: 1, denied: 0 })
    })
  })
}

test('nothing of who is on a list reaches Redis', async (t) => {
  const prefix = 'listed'
  const limiter = new RateLimiter({ ...RULES, prefix, redisUrl: redis.url, timeout: '30s' })
  t.after(() => limiter.close())
  for (let count = 0; count < 5; count += 1) {
    await Promise.all([limiter.check('healthcheck'), limiter.isAllowed('mallory')])
  }
  assert.deepEqual(await redisCommand(redis.port, 'KEYS', `${prefix}:*`), [])
})

test('lists decide also while Redis is away, and not after close', async () => {
  const limiter = new RateLimiter({ ...RULES, redisUrl: 'redis://127.0.0.1:1', onStoreError: 'throw' })
  assert.equal(await limiter.isAllowed('healthcheck'), true)
  assert.equal(await limiter.isAllowed('mallory'), false)
  await limiter.close()
  assert.equal((await rejectionOf(() => limiter.check('healthcheck'))).code, 'ERR_RATE_LIMIT_CLOSED')
})

test('limiters with other words and with several limits have lists', async () => {
  const other = new DistributedRateLimiter({ maxRequests: 1, timeWindowMs: 1_000, deny: ['mallory'] })
  assert.equal(await other.isAllowed('mallory'), false)
  const limits = [
    { name: 'second', limit: 1, window: '1s' },
    { name: 'day', limit: 5, window: '1d' },
  ]
  const several = new RateLimiter({ limits, allow: ['a'], deny: ['d'] })
  const { allowed, reason, limits: each } = await several.check('a')
  assert.deepEqual([allowed, reason, each.map(({ remaining }) => remaining)], [true, 'allow-list', [1, 5]])
  assert.deepEqual(
    (await several.check('d')).limits.map(({ allowed }) => allowed),
    [false, false],
  )
})

test('headers are those of the pattern that a route falls under', async () => {
  const actions = { 'GET /:page': { limit: 5, window: '90s' } }
  const limiter = new RateLimiter({ limit: 3, window: '1m', actions })
  const written = {}
  const admit = rateLimit({ limiter, key: () => 'alice', action: () => 'GET /home' })
  const response = { setHeader: (name, value) => (written[name] = value), once() {}, off() {} }
  await admit({ headers: {}, socket: {} }, response)
  assert.match(written['RateLimit-Policy'], /q=5;w=90/)
})

/** Networks that meet each other, and addresses in and around them, by a generator that always says the same. */
test('networks agree with Node’s BlockList', () => {
  let state = 7
  const random = (below) => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0
    return (state >>> 8) % below
  }
  const v4 = () => `10.${random(2)}.${random(4) * 64}.${random(256)}`
  const v6 = () => `2001:db8:${random(2)}:${(random(4) * 64).toString(16)}::${random(65_536).toString(16)}`
  for (let round = 0; round < 60; round += 1) {
    const list = new BlockList()
    const deny = []
    for (let count = 0; count < 8; count += 1) {
      const isV6 = random(2) === 1
      const [address, length] = isV6 ? [v6(), random(129)] : [v4(), random(33)]
      list.addSubnet(address, length, isV6 ? 'ipv6' : 'ipv4')
      // What the limiter wants written: the first address of the network, which it names in its refusal.
      const error = thrownOrNone(() => new RateLimiter({ limit: 1, window: 1, deny: [`${address}/${length}`] }))
      const [, network] = /in the network (\S+):/.exec(error?.message ?? '') ?? [undefined, `${address}/${length}`]
      if (!deny.includes(network)) deny.push(network)
    }
    const apart = [...new Set(deny.map((network) => network.replace(/^(\S+)\/(?:32|128)$/, '$1')))]
    const limiter = new RateLimiter({ limit: 1_000, window: '1d', deny: apart })
    for (let count = 0; count < 40; count += 1) {
      const [address, family] = random(2) === 1 ? [v6(), 'ipv6'] : [v4(), 'ipv4']
      // Node takes IPv4 to be in networks of IPv6 that hold all that is mapped: here the families are apart.
      if (family === 'ipv4' && apart.some((network) => /^::\/|^::$/.test(network))) continue
      assert.equal(limiter.isAllowedSync(address), !list.check(address, family), `${address} in ${apart}`)
    }
  }
})

function thrownOrNone(work) {
  try {
    work()
    return undefined
  } catch (error) {
    return error
  }
}

const GOOD = { limit: 10, window: '1m' }
const OVER = (value) => ({ overrides: { a: value } })

describe('what is no rule', () => {
  for (const [title, options, error, says] of [
    ['allow is a text', { allow: 'a' }, kind, /`allow` must be an array of patterns/],
    ['allow is null', { allow: null }, kind, /`allow`.*null/],
    ['a number in deny', { deny: ['a', 5] }, kind, /`deny\[1\]` must be a pattern.*5/],
    ['an object in deny', { deny: [{}] }, kind, /`deny\[0\]`.*an object/],
    ['an empty pattern', { deny: [''] }, range, /1 to 256/],
    ['a long pattern', { deny: ['x'.repeat(257)] }, range, /257 characters/],
    ['a `*` in the middle', { allow: ['a*b'] }, range, /'a\*b'.*at the end.*`\\\*`/],
    ['a `\\` before nothing', { allow: ['a\\'] }, range, /`\\`/],
    ['a name that is none', { allow: ['/:1'] }, range, /`\\:`/],
    ['too long a network', { deny: ['10.0.0.0/33'] }, range, /0 to 32/],
    ['an address in a network', { deny: ['10.0.0.1/8'] }, range, /10\.0\.0\.0\/8/],
    ['one pattern twice', { allow: ['a'], deny: ['a'] }, kind, /`allow\[0\]` \('a'\) and `deny\[0\]` \('a'\)/],
    ['two networks that are one', { allow: ['10.0.0.1', '::ffff:10.0.0.1'] }, kind, /match the same keys/],
    ['two names of one segment', { ...OVER(GOOD), allow: ['/a/:x', '/a/:y'] }, kind, /'\/a\/:x'.*'\/a\/:y'/],
    ['two actions that are one', { actions: { '/:x': GOOD, '/:y': GOOD } }, kind, /match the same actions/],
    ['overrides in an array', { overrides: [] }, kind, /`overrides` must be an object/],
    ['an override that is a number', OVER(5), kind, /`overrides\.a` must be an object/],
    ['an override of nothing', OVER({ ...GOOD, limit: 0 }), range, /`overrides\.a\.limit`/],
    ['an override without a window', OVER({ limit: 1 }), kind, /`overrides\.a\.window`/],
    ['a misspelt override', OVER({ ...GOOD, limt: 1 }), unknown, /`overrides\.a` has no `limt`.*`limit`/],
    ['an algorithm in an override', OVER({ ...GOOD, algorithm: 'token-bucket' }), unknown, /`algorithm`/],
    ['a burst of a window', OVER({ ...GOOD, burst: { extra: 1, window: '1s' } }), kind, /`overrides\.a\.burst`/],
    ['a policy that is none', OVER({ policy: 'gold' }), range, /'gold'.*none of `policies`/],
    ['a policy with numbers', OVER({ policy: 'gold', limit: 1 }), kind, /both given/],
    ['a policy of a number', OVER({ policy: 1 }), kind, /`overrides\.a\.policy`/],
    ['a loop', { policies: { a: { extends: 'b' }, b: { extends: 'a' } } }, kind, /a → b → a/],
    ['an extension of nothing', { policies: { a: { extends: 'b' } } }, range, /`policies\.a\.extends`/],
    ['policies in an array', { policies: [] }, kind, /`policies` must be an object/],
    ['policies in a file of another kind', { policies: './limits.toml' }, range, /\.yaml, \.yml or \.json/],
    [
      'deny with a by',
      { limit: undefined, window: undefined, limits: [{ name: 'n', by: 'u', ...GOOD }], deny: ['a'] },
      kind,
      /`deny` must be an object by the fields of the key/,
    ],
  ]) {
    test(title, () => {
      const refusal = thrownBy(() => new RateLimiter({ ...GOOD, ...options }), title)
      assertRefusal(refusal, { ...error, says: [says] }, title)
    })
  }
})
