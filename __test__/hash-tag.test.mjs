/** `hashTag`: what lies together in a cluster, and that limits count within their owner wherever they are decided. */

import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'

import { RateLimiter } from 'distributed-rate-limiter'

import { startRedisCluster } from '../scripts/redis-cluster.mjs'
import { startRedis } from '../scripts/redis.mjs'
import { redisCommand } from '../scripts/resp.mjs'
import { assertDecision } from './support/decision.mjs'
import { allowedOf, TWO_LIMITS } from './support/face.mjs'
import { assertRefusal, rejectionOf, thrownBy } from './support/refusal.mjs'
import { makers } from './support/stores.mjs'

const OF_TENANTS = {
  hashTag: 'tenant',
  limits: [
    { name: 'user', by: 'user', limit: 3, window: '1d' },
    { name: 'tenant', by: 'tenant', limit: 5, window: '2d' },
    { name: 'all', by: 'global', limit: 6, window: '3d' },
  ],
}

describe('hashTag on a cluster', { timeout: 120_000 }, () => {
  let cluster
  before(async () => {
    cluster = await startRedisCluster()
  })
  after(() => cluster?.stop())

  const limiterOf = (t, options) => {
    const redisUrl = cluster.nodes.map(({ url }) => url)
    const limiter = new RateLimiter({ redisUrl, timeout: '10s', onStoreError: 'throw', ...options })
    t.after(() => limiter.close())
    return limiter
  }
  /** Of each server the names of the keys that it has. */
  const stored = async (prefix) => {
    const names = await Promise.all(cluster.nodes.map(({ port }) => redisCommand(port, 'KEYS', `${prefix}:*`)))
    assert.ok(
      names.every((some) => some.length > 0),
      'keys lie on each master',
    )
    return names
  }

  test('limits of one key, and of its actions, are one step on one server', async (t) => {
    const limiter = limiterOf(t, { limits: TWO_LIMITS, hashTag: true, prefix: 'tagged' })
    const keys = Array.from({ length: 30 }, (_, index) => `user:${index}`)
    for (const key of keys) {
      assert.equal(await allowedOf(limiter, key, 4), 2, key)
      await limiter.check(key, { action: 'upload' })
    }
    const names = await stored('tagged')
    for (const key of keys) {
      const lie = names.map((some) => some.filter((name) => name.endsWith(`:{${key}}`)).length)
      assert.deepEqual(lie.sort(), [0, 0, 4], `${key}: ${lie}`)
    }
  })

  test('all keys of an owner are one step on one server', async (t) => {
    const limiter = limiterOf(t, { ...OF_TENANTS, prefix: 'owned' })
    const tenants = Array.from({ length: 30 }, (_, index) => `t${index}`)
    for (const tenant of tenants) {
      assert.equal(await allowedOf(limiter, { tenant, user: 'u1' }, 4), 3)
      assert.equal(await allowedOf(limiter, { tenant, user: 'u2' }, 4), 2, 'what the tenant has left')
    }
    const names = await stored('owned')
    for (const tenant of tenants) {
      const lie = names.map((some) => some.filter((name) => name.includes(`:{${tenant}}`)).sort())
      const expected = [
        `owned:all:sliding-window:{${tenant}}:global`,
        `owned:tenant:sliding-window:{${tenant}}`,
        `owned:user:sliding-window:{${tenant}}:u1`,
        `owned:user:sliding-window:{${tenant}}:u2`,
      ]
      assert.deepEqual(lie.sort(), [[], [], expected])
    }
  })
})

describe('hashTag by the name of a field', { timeout: 60_000 }, () => {
  let redis
  before(async () => {
    redis = await startRedis()
  })
  after(() => redis?.stop())

  for (const [store, make] of Object.entries(makers(() => redis))) {
    test(`limits count within their owner, ${store}`, async (t) => {
      const limiter = make(t, OF_TENANTS)
      const who = { tenant: 't1', user: 'u1' }
      assert.equal(await allowedOf(limiter, who, 4), 3)
      assertDecision(await limiter.check(who), { allowed: false, name: 'user' })
      assert.equal(await allowedOf(limiter, { ...who, tenant: 't2' }, 4), 3, 'the same name is somebody else there')
      assert.equal(await allowedOf(limiter, { ...who, user: 'u2' }, 4), 2)
      assertDecision(await limiter.check({ ...who, user: 'u3' }), { allowed: false, name: 'tenant' })
    })

    test(`an owner is blocked only where nobody else is named, ${store}`, async (t) => {
      const limiter = make(t, OF_TENANTS)
      const who = { tenant: 't1', user: 'u1' }
      await limiter.block(who, '1h')
      assertDecision(await limiter.check(who), { allowed: false, name: 'user' })
      assertDecision(await limiter.check({ ...who, user: 'u2' }), { allowed: true })
      await limiter.block({ tenant: 't1' }, '2h')
      assertDecision(await limiter.check({ ...who, user: 'u2' }), { allowed: false, name: 'tenant' })
      await limiter.unblock({ tenant: 't1' })
      assertDecision(await limiter.check({ ...who, user: 'u2' }), { allowed: true })
      assert.equal(await limiter.isAllowed(who), false)
      await limiter.reset(who)
      assert.equal(await limiter.isAllowed(who), true)
    })

    test(`the owner must be named, ${store}`, async (t) => {
      const limiter = make(t, OF_TENANTS)
      for (const key of ['u1', { user: 'u1' }, { tenant: '', user: 'u1' }]) {
        const refused = await rejectionOf(() => limiter.check(key), 'nobody owns it')
        assertRefusal(refused, { type: TypeError, code: 'ERR_RATE_LIMIT_KEY', says: ['tenant'] }, 'nobody owns it')
      }
    })
  }

  test('a limit that counts by the whole key has no owner', () => {
    const refused = thrownBy(() => new RateLimiter({ limit: 1, window: '1s', hashTag: 'tenant' }))
    assertRefusal(refused, { type: TypeError, code: 'ERR_RATE_LIMIT_OPTION', says: ['hashTag', 'by'] }, 'no field')
  })
})
