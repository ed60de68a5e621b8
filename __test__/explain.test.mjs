/** Why a call is decided as it is: which limits it has, who has said so, how each of them stands, on every store. */

import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'

import { RateLimiter } from 'distributed-rate-limiter'

import { freePort, startRedis } from '../scripts/redis.mjs'
import { redisCommand } from '../scripts/resp.mjs'
import { manual } from './support/manual-pressure.mjs'

const DAY = { window: '1d' }

let redis
before(async () => {
  redis = await startRedis()
})
after(() => redis?.stop())

const stores = {
  memory: () => ({}),
  redis: () => ({ redisUrl: redis.url, timeout: '30s' }),
  thread: () => ({ redisUrl: redis.url, timeout: '30s', driver: 'thread' }),
}

for (const [store, where] of Object.entries(stores)) {
  const make = (t, options) => {
    const limiter = new RateLimiter({ ...where(), prefix: `${store}-${Math.random()}`, ...options })
    t.after(() => limiter.close())
    return limiter
  }

  describe(`explain, ${store}`, { timeout: 60_000 }, () => {
    test('who has said what the limit is, the nearest to the call first', async (t) => {
      const limiter = make(t, {
        limit: 10,
        ...DAY,
        overrides: { 'gold:*': { limit: 50, ...DAY } },
        allow: ['guest'],
        deny: ['10.0.0.0/8'],
        actions: { login: { limit: 3, window: '1h' } },
      })
      limiter.configure('gold:vip', { limit: 70, ...DAY })
      const told = async (...args) => {
        const { from, pattern, allowed, reason, limits } = await limiter.explain(...args)
        return [from, pattern, allowed, reason, limits.length, limits[0].limit]
      }
      assert.deepEqual(await told('a'), ['default', undefined, true, undefined, 1, 10])
      assert.deepEqual(await told('a', { action: 'other' }), ['default', undefined, true, undefined, 1, 10])
      assert.deepEqual(await told('a', { action: 'login' }), ['action', undefined, true, undefined, 1, 3])
      assert.deepEqual(await told('gold:a'), ['override', 'gold:*', true, undefined, 1, 50])
      assert.deepEqual(await told('gold:a', { action: 'login' }), ['action', undefined, true, undefined, 1, 3])
      assert.deepEqual(await told('gold:vip'), ['configured', undefined, true, undefined, 1, 70])
      assert.deepEqual(await told('gold:vip', { limit: 7, window: '1h' }), ['call', undefined, true, undefined, 1, 7])
      assert.deepEqual(await told('guest'), ['allow-list', 'guest', true, 'allow-list', 1, 10])
      assert.deepEqual(await told('10.1.2.3'), ['deny-list', '10.0.0.0/8', false, 'deny-list', 1, 10])
    })

    test('how it stands, and what would be told next; it takes nothing', async (t) => {
      const limiter = make(t, { limit: 10, ...DAY, algorithm: 'token-bucket', burst: 12 })
      await limiter.check('a', { cost: 11 })
      const decision = await limiter.peek('a', { cost: 2 })
      const { version, multiplier, limits, ...explanation } = await limiter.explain('a', { cost: 2 })
      assert.deepEqual([version, multiplier, explanation.allowed, explanation.source], [0, 1, false, decision.source])
      const [{ retryAfterMs, resetAt, key, ...limit }] = limits
      assert.deepEqual(limit, {
        ...limiter.policies()[0],
        allowed: false,
        limitNow: 12,
        remaining: 1,
      })
      assert.ok(Math.abs(retryAfterMs - decision.retryAfterMs) < 60_000 && resetAt > Date.now())
      assert.equal((await limiter.peek('a')).remaining, 1)
      if (store !== 'memory') assert.equal(Number(await redisCommand(redis.port, 'EXISTS', key)), 1, key)
    })

    test('several limits in the order of a decision, and those that are tried behind them', async (t) => {
      const limiter = make(t, {
        limits: [
          { name: 'tried', limit: 1, ...DAY, by: 'user', shadow: true },
          { name: 'user', limit: 5, ...DAY, by: 'user' },
          { name: 'all', limit: 100, ...DAY, by: 'global' },
        ],
      })
      const key = { user: 'u1' }
      await limiter.check(key, { cost: 2 })
      const { from, limits } = await limiter.explain(key)
      assert.equal(from, 'default')
      const told = limits.map(({ name, role, by, allowed, remaining }) => [name, role, by, allowed, remaining])
      assert.deepEqual(told, [
        ['user', undefined, 'user', true, 3],
        ['all', undefined, 'global', true, 98],
        ['tried', 'shadow', 'user', true, 1],
      ])
      assert.equal(new Set(limits.map((limit) => limit.key)).size, 3)
    })

    test('a candidate, and bad arguments', async (t) => {
      const limiter = make(t, { limit: 5, ...DAY, candidate: { limit: 1, ...DAY } })
      await limiter.check('a')
      const { limits } = await limiter.explain('a')
      assert.deepEqual(
        limits.map(({ name, role, allowed, remaining }) => [name, role, allowed, remaining]),
        [
          ['default', undefined, true, 4],
          ['candidate', 'candidate', false, 0],
        ],
      )
      await assert.rejects(limiter.explain(''), { code: 'ERR_RATE_LIMIT_KEY' })
      await assert.rejects(limiter.explain('a', { nope: 1 }), { code: 'ERR_RATE_LIMIT_UNKNOWN_OPTION' })
      await limiter.close()
      await assert.rejects(limiter.explain('a'), { code: 'ERR_RATE_LIMIT_CLOSED' })
    })
  })
}

test('under load it tells the limit as it was given, and what is left of it', { timeout: 30_000 }, async (t) => {
  const { load, make, pass } = manual(t)
  const limiter = make({ limit: 100, ...DAY, adaptive: { min: 0.2 } })
  load.now = 2
  pass(60)
  const { multiplier, limits } = await limiter.explain('a')
  assert.deepEqual([multiplier, limits[0].limit, limits[0].limitNow, limits[0].remaining], [0.2, 100, 20, 20])
})

test('the fleet’s version, and while Redis is away who decides', { timeout: 60_000 }, async (t) => {
  const limiter = new RateLimiter({ limit: 5, ...DAY, policies: { shared: 'explained' }, redisUrl: redis.url })
  t.after(() => limiter.close())
  await limiter.ready()
  await limiter.publishPolicies({ limit: 8, ...DAY })
  const { version, limits } = await limiter.explain('a')
  assert.deepEqual([version, limits[0].limit], [1, 8])

  const away = new RateLimiter({
    limit: 5,
    ...DAY,
    candidate: { limit: 1, ...DAY },
    redisUrl: `redis://127.0.0.1:${await freePort()}`,
  })
  t.after(() => away.close())
  const explained = await away.explain('a')
  assert.deepEqual([explained.source, explained.limits[0].remaining], ['fallback', 5])
  assert.deepEqual([explained.limits[1].name, 'allowed' in explained.limits[1]], ['candidate', false])
})
