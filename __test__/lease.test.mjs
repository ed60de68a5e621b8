/** `lease`: a hot key is decided here by units that Redis has leased, and never above its limit. */

import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'

import { RateLimiter } from 'distributed-rate-limiter'

import { startRedis } from '../scripts/redis.mjs'
import { startRedisCluster } from '../scripts/redis-cluster.mjs'
import { redisCommand } from '../scripts/resp.mjs'
import { program, start } from './support/child.mjs'
import { STANDALONE } from './support/clients.mjs'
import { assertDecision } from './support/decision.mjs'
import { reportsOf } from './support/race.mjs'
import { maker, ownPrefix } from './support/stores.mjs'
import { sleep, until } from './support/wait.mjs'

const ALGORITHMS = ['sliding-window', 'token-bucket']
const LEASE = { max: 100, ttl: '200ms' }
const OPTIONS = { limit: 100_000, window: '1h', lease: LEASE, timeout: '10s', onStoreError: 'throw' }

let redis
before(async () => {
  redis = await startRedis()
})
after(() => redis?.stop())

const limiterOf = maker(() => ({ ...OPTIONS, redisUrl: redis.url }))

/** Calls until one is decided by a lease. */
async function heat(limiter, key = 'key') {
  await until(async () => {
    for (let call = 0; call < 50; call += 1) {
      if ((await limiter.check(key)).source === 'lease') return true
    }
  }, 'a lease decides')
}

/** What Redis has left of a key. */
const left = async (limiter, key = 'key') => (await limiter.peek(key)).remaining

describe('a hot key', { timeout: 120_000 }, () => {
  for (const algorithm of ALGORITHMS) {
    test(`is decided here, and each unit is counted in Redis: ${algorithm}`, async (t) => {
      const limiter = limiterOf(t, { algorithm })
      for (let call = 0; call < 20_000; call += 1) assert.equal(await limiter.isAllowed('key'), true)
      const { sources, batches, allowed } = limiter.stats()
      assert.equal(allowed, 20_000)
      assert.equal(sources.lease + sources.redis, 20_000)
      assert.ok(sources.lease > 15_000, `${sources.lease} of 20,000 by leases`)
      assert.ok(batches < 5_000, `${batches} batches`)
      const decision = await limiter.check('key')
      assertDecision(decision, { allowed: true, limit: OPTIONS.limit })
      // Into a bucket flow 28 in a second.
      const refills = algorithm === 'token-bucket' ? 1_000 : 0
      assert.ok(
        decision.remaining <= 80_000 + refills && decision.remaining >= 79_000,
        `${decision.remaining} are left`,
      )
      assert.ok((await left(limiter)) <= 80_000 + refills, 'whatever is used was taken before')
    })

    test(`comes back when it is not used: ${algorithm}`, async (t) => {
      const limiter = limiterOf(t, { algorithm })
      await heat(limiter)
      const { allowed } = limiter.stats()
      // A bucket that is leased from lacks what flows in during a lease.
      const lag = algorithm === 'token-bucket' ? Math.ceil((OPTIONS.limit * 0.2) / 3_600) + 1 : 0
      await until(async () => (await left(limiter)) >= OPTIONS.limit - allowed - lag, 'what is left is given back')
      assert.ok((await left(limiter)) <= OPTIONS.limit - allowed + lag)
    })

    test(`comes back at the end: ${algorithm}`, async (t) => {
      const shared = { algorithm, prefix: ownPrefix() }
      const limiter = limiterOf(t, { ...shared, lease: { max: 100, ttl: '1m' } })
      const other = limiterOf(t, { ...shared, lease: false })
      await heat(limiter)
      const { allowed } = limiter.stats()
      const lag = algorithm === 'token-bucket' ? Math.ceil((OPTIONS.limit * 60) / 3_600) + 1 : 0
      const before = await left(other)
      assert.ok(before < OPTIONS.limit - allowed, 'some is leased')
      await limiter.close()
      const now = await left(other)
      assert.ok(now >= OPTIONS.limit - allowed - lag && now <= OPTIONS.limit - allowed + lag, `${before}, then ${now}`)
    })

    test(`admits the limit and not one more in a race of processes: ${algorithm}`, async () => {
      const limit = 20_000
      const options = {
        ...OPTIONS,
        algorithm,
        limit,
        window: '365d',
        prefix: `raced-${algorithm}`,
        redisUrl: redis.url,
      }
      const programs = Array.from({ length: 8 }, () => ({
        file: 'lease-race.mjs',
        args: [JSON.stringify(options), 'key', 4_000],
      }))
      const reports = await reportsOf(programs, 90_000)
      const sum = (name) => reports.reduce((all, report) => all + report[name], 0)
      assert.equal(sum('calls'), 32_000)
      assert.ok(sum('leased') > 5_000, `${sum('leased')} by leases`)
      // Whoever ends gives back what it holds; of a bucket only what nobody has been booked behind.
      const after = new RateLimiter(options)
      const known = sum('allowed') + (await left(after))
      await after.close()
      assert.ok(known <= limit && known >= limit * (algorithm === 'token-bucket' ? 0.9 : 1), `${known} of ${limit}`)
    })
  }

  test('is asked for call by call near its limit, down to the last unit', async (t) => {
    const limiter = limiterOf(t, { limit: 500, denyCache: false })
    let allowed = 0
    while (await limiter.isAllowed('key')) allowed += 1
    await until(async () => {
      if (!(await limiter.isAllowed('key'))) return allowed === 500
      allowed += 1
      return allowed === 500
    }, `all of 500 are admitted`)
    assert.equal(await limiter.isAllowed('key'), false)
    assert.ok(limiter.stats().sources.lease > 100)
  })

  test('is decided by a cost that it holds, and asked for a larger one', async (t) => {
    const limiter = limiterOf(t)
    await heat(limiter)
    assertDecision(await limiter.check('key', { cost: 5_000 }), { allowed: true, granted: 5_000, source: 'redis' })
    await heat(limiter)
    const { granted, source } = await limiter.check('key', { upTo: 2 })
    assert.deepEqual([granted, source], [2, source])
  })

  test('of an action, whose limit is its own', async (t) => {
    const limiter = limiterOf(t, { actions: { download: { limit: 50_000, window: '1h' } } })
    await until(async () => {
      for (let call = 0; call < 50; call += 1) {
        const decision = await limiter.check('key', { action: 'download' })
        if (decision.source === 'lease') return decision.limit === 50_000
      }
    }, 'a lease decides')
    assertDecision(await limiter.check('key'), { allowed: true, source: 'redis', remaining: OPTIONS.limit - 1 })
  })

  test('with `configure`, is decided by the new limit at once', async (t) => {
    const limiter = limiterOf(t)
    await heat(limiter)
    limiter.configure('key', { limit: 1, window: '1h' })
    for (let call = 0; call < 100; call += 1) {
      const decision = await limiter.check('key')
      assertDecision(decision, { allowed: false, limit: 1 })
      assert.notEqual(decision.source, 'lease')
    }
  })

  test('with a name, is told by it', async (t) => {
    const limits = [{ name: 'only', limit: 1_000, window: '1h' }]
    const limiter = limiterOf(t, { limits, limit: undefined, window: undefined })
    await heat(limiter)
    await until(async () => (await limiter.check('key')).source === 'lease', 'a lease decides')
    const { name, limits: each } = await limiter.check('key')
    assert.deepEqual([name, each.length, each[0].name], ['only', 1, 'only'])
  })
})

describe('what is leased', { timeout: 120_000 }, () => {
  const VOID = {
    reset: (limiter) => limiter.reset('key'),
    block: (limiter) => limiter.block('key', '1h'),
  }
  for (const [what, act] of Object.entries(VOID)) {
    const isBlock = what === 'block'

    test(`is void after a ${what} here`, async (t) => {
      const limiter = limiterOf(t, { lease: { max: 100, ttl: '1m' } })
      for (let round = 0; round < 10; round += 1) {
        await heat(limiter)
        await act(limiter)
        assertDecision(await limiter.check('key'), { allowed: !isBlock, source: 'redis' })
        if (isBlock) await limiter.unblock('key')
      }
    })

    test(`is void after a ${what} elsewhere, as soon as it is heard of`, async (t) => {
      const prefix = ownPrefix()
      const here = limiterOf(t, { prefix, lease: { max: 100, ttl: '1m' }, denyCache: false })
      const elsewhere = limiterOf(t, { prefix })
      const listeners = async () => String(await redisCommand(redis.port, 'CLIENT', 'LIST', 'TYPE', 'pubsub'))
      await heat(here)
      await until(async () => (await listeners()).includes('cmd=psubscribe'), 'it listens')
      for (let round = 0; round < 5; round += 1) {
        await heat(here)
        await act(elsewhere)
        await until(async () => {
          const { allowed, source } = await here.check('key')
          return isBlock ? !allowed : source === 'redis'
        }, 'it is heard of')
        if (isBlock) await elsewhere.unblock('key')
      }
    })
  }

  test('gives nobody anything after a reset: what was used since stays used', async (t) => {
    const limiter = limiterOf(t, { limit: 1_000 })
    await heat(limiter)
    await limiter.reset('key')
    await limiter.check('key', { cost: 900 })
    await sleep(400)
    assert.ok((await left(limiter)) <= 100)
  })

  test('by the fallback to nobody', async (t) => {
    const server = await startRedis()
    t.after(() => server.stop())
    const limiter = limiterOf(t, { redisUrl: server.url, onStoreError: 'local', timeout: '100ms' })
    await heat(limiter)
    await server.stop()
    for (let call = 0; call < 300; call += 1) {
      const { granted, allowed } = await limiter.check('key')
      assert.equal(granted, allowed ? 1 : 0)
    }
    assert.equal(limiter.stats().denied, 0)
  })

  test('is used while Redis is away, and not after its end', async (t) => {
    const server = await startRedis()
    t.after(() => server.stop())
    const lease = { max: 1_000, ttl: '2s' }
    const limiter = limiterOf(t, { redisUrl: server.url, onStoreError: 'local', timeout: '100ms', lease })
    for (let call = 0; call < 2_000; call += 1) await limiter.isAllowed('key')
    await heat(limiter)
    await server.stop()
    assertDecision(await limiter.check('key'), { allowed: true, source: 'lease' })
    await until(async () => (await limiter.check('key')).source === 'fallback', 'it has ended')
    await sleep(2_000)
    assertDecision(await limiter.check('key'), { source: 'fallback' })
  })

  test('is lost with a process that is killed, and comes back when it would have been used', async () => {
    const options = { ...OPTIONS, limit: 2_000, window: '2s', lease: { max: 100, ttl: '100ms' }, prefix: 'killed' }
    const args = [JSON.stringify({ ...options, redisUrl: redis.url }), 'key']
    const child = start(program('lease-holder.mjs'), { args })
    await child.message()
    await child.stop('SIGKILL')
    const limiter = new RateLimiter({ ...options, redisUrl: redis.url })
    await until(async () => (await limiter.peek('key')).remaining === 2_000, 'all of it is back', 10_000)
    await limiter.close()
  })

  test('keeps no process alive', async () => {
    const args = [
      JSON.stringify({ ...OPTIONS, prefix: 'alive', redisUrl: redis.url, lease: { max: 100, ttl: '1m' } }),
      'key',
      'end',
    ]
    const child = start(program('lease-holder.mjs'), { args })
    await child.message()
    assert.equal((await child.ended).code, 0)
  })
})

describe('every way to Redis', { timeout: 120_000 }, () => {
  test('a cluster', async (t) => {
    const cluster = await startRedisCluster()
    t.after(() => cluster.stop())
    const limiter = limiterOf(t, { redisUrl: cluster.nodes.map(({ url }) => url) })
    for (const key of ['a', 'b', 'c', 'd']) await heat(limiter, key)
  })

  test("the application's own client", async (t) => {
    const { open, close } = STANDALONE.ioredis
    const client = await open(redis)
    t.after(() => close(client))
    const limiter = limiterOf(t, { redisUrl: undefined, redisClient: client })
    await heat(limiter)
    const { allowed } = limiter.stats()
    await until(async () => (await left(limiter)) === OPTIONS.limit - allowed, 'what is left is given back')
  })
})

describe('what is refused', () => {
  const url = 'redis://127.0.0.1:1'
  const many = {
    limits: [
      { name: 'a', limit: 1, window: '1h' },
      { name: 'b', limit: 1, window: '1h' },
    ],
  }
  const one = { limit: 10, window: '1s', redisUrl: url }
  const REFUSED = [
    [{ limit: 10, window: '1s', lease: LEASE }, /`lease` is for a limiter on Redis/],
    [{ ...one, lease: 5 }, /`lease` must be an object/],
    [{ ...one, lease: { max: 5 } }, /`lease\.ttl`/],
    [{ ...one, lease: { ttl: 100 } }, /`lease\.max`/],
    [{ ...one, lease: { max: 0, ttl: 100 } }, /`lease\.max`/],
    [{ ...one, lease: { max: 1.5, ttl: 100 } }, /`lease\.max`/],
    [{ ...one, lease: { max: 1_000_001, ttl: 100 } }, /`lease\.max`/],
    [{ ...one, lease: { max: 5, ttl: 0 } }, /`lease\.ttl`/],
    [{ ...one, lease: { max: 5, ttl: '2m' } }, /`lease\.ttl`/],
    [{ ...one, lease: { max: 5, ttl: '2s' } }, /`lease\.ttl` must not be longer than the `window`/],
    [{ ...one, lease: { ...LEASE, maxx: 5 } }, /maxx/],
    [{ ...many, redisUrl: url, lease: LEASE }, /`lease` is for a limiter with one limit/],
    [{ ...one, algorithm: 'fixed-window', lease: LEASE }, /`lease` is for `algorithm: 'sliding-window'`/],
    [{ ...one, burst: { extra: 1, window: '1s' }, lease: LEASE }, /without a `burst`/],
    [{ ...one, actions: { a: { limit: 1, window: '1s', algorithm: 'leaky-bucket' } }, lease: LEASE }, /'token-bucket'/],
    [{ ...one, actions: { a: { limit: 1, window: 100 } }, lease: LEASE }, /must not be longer/],
    [{ limit: 'configured', redisUrl: url, lease: LEASE }, /must not be longer/, { limit: 1, window: 100 }],
  ]
  for (const [options, message, given] of REFUSED) {
    test(JSON.stringify(options), () => {
      assert.throws(
        () => {
          const limiter = new RateLimiter(options)
          if (given) limiter.configure('key', given)
        },
        (error) => /^ERR_RATE_LIMIT_/.test(error.code) && message.test(error.message),
      )
    })
  }
})
