/** `stats()`: what a limiter tells of itself, on memory, on real Redis, in shared memory. */

import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'

import { RateLimiter } from 'distributed-rate-limiter'

import { startRedisCluster } from '../scripts/redis-cluster.mjs'
import { freePort, startRedis } from '../scripts/redis.mjs'
import { STANDALONE } from './support/clients.mjs'
import { startProxy } from './support/proxy.mjs'
import { sharedName } from './support/shared.mjs'
import { maker, makers } from './support/stores.mjs'
import { until } from './support/wait.mjs'

const LATENCY_BOUNDS = [0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25, 50, 100, 250, 1_000]
const BATCH_BOUNDS = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512]
const USERS = [
  { name: 'user', by: 'user', limit: 2, window: '1d' },
  { name: 'ip', by: 'ip', limit: 3, window: '1d' },
]

let redis
before(async () => {
  redis = await startRedis()
})
after(() => redis?.stop())

const onRedis = maker(() => ({ redisUrl: redis.url, denyCache: false }))
const inMemory = maker(() => ({}))

/** So many calls, one after the other. */
async function calls(limiter, count, key = 'key', options) {
  for (let call = 0; call < count; call += 1) await limiter.check(key, options)
}

const sum = (numbers) => numbers.reduce((all, number) => all + number, 0)

/** A histogram that says the same in each of its parts. */
function assertWhole({ bounds, counts, sum: total, count }, expected) {
  assert.deepEqual(bounds, expected)
  assert.equal(counts.length, bounds.length + 1)
  assert.equal(count, sum(counts))
  // Whatever lies in a bucket is above the bound before it, and in all but the last not above its own.
  const least = sum(counts.map((number, index) => number * (bounds[index - 1] ?? 0)))
  const most = counts.at(-1) > 0 ? Infinity : sum(bounds.map((bound, index) => bound * counts[index]))
  assert.ok(total >= least && total <= most, `${total} is between ${least} and ${most}`)
}

for (const [store, make] of Object.entries(makers(() => redis))) {
  describe(`decisions, ${store}`, { timeout: 60_000 }, () => {
    test('a limit without a name is the default', async (t) => {
      const limiter = make(t, { limit: 3, window: '1d' })
      assert.deepEqual(limiter.stats().limits, { default: { allowed: 0, denied: 0 } })
      await calls(limiter, 5)
      await calls(limiter, 1, 'other', { cost: 2 })
      await limiter.peek('key')
      await limiter.refund('key')
      const { limits, actions } = limiter.stats()
      assert.deepEqual(limits, { default: { allowed: 4, denied: 2 } })
      assert.deepEqual(actions, {})
    })

    test('of several limits the one that decided', async (t) => {
      const limiter = make(t, { limits: USERS })
      for (const user of ['a', 'b', 'c', 'd']) await limiter.check({ user, ip: '::1' })
      await calls(limiter, 3, { user: 'a', ip: '::2' })
      const { limits, allowed, denied } = limiter.stats()
      // The one with the least left: of equals the first, as for the second user; for the third the address, which the fourth finds spent.
      assert.deepEqual(limits, { user: { allowed: 3, denied: 2 }, ip: { allowed: 1, denied: 1 } })
      assert.deepEqual([allowed, denied], [4, 3])
      assert.deepEqual(Object.keys(limits), ['user', 'ip'])
    })

    test('by action, of those that have a limit; all others together', async (t) => {
      const actions = { download: { limit: 1, window: '1d' }, ['__proto__']: { limit: 1, window: '1d' } }
      const limiter = make(t, { limit: 2, window: '1d', actions })
      assert.deepEqual(Object.keys(limiter.stats().actions).sort(), ['__proto__', 'download'])
      await calls(limiter, 3)
      await calls(limiter, 3, 'key', { action: 'download' })
      await calls(limiter, 2, 'key', { action: '__proto__' })
      await calls(limiter, 3, 'key', { action: 'a' })
      await calls(limiter, 1, 'key', { action: 'b', limit: 9, window: '1d' })
      const { actions: counted, limits } = limiter.stats()
      assert.deepEqual(counted.download, { allowed: 1, denied: 2 })
      assert.deepEqual(Object.getOwnPropertyDescriptor(counted, '__proto__').value, { allowed: 1, denied: 1 })
      assert.deepEqual(counted.other, { allowed: 3, denied: 1 })
      assert.equal(Object.getPrototypeOf(counted), Object.prototype)
      assert.deepEqual(limits, { default: { allowed: 7, denied: 5 } })
    })

    test('an action of named limits is decided by its own, which has no name', async (t) => {
      const limiter = make(t, { limits: USERS, actions: { login: { limit: 1, window: '1d', by: 'user' } } })
      await calls(limiter, 3, { user: 'a' }, { action: 'login' })
      await calls(limiter, 3, { user: 'a', ip: '::1' }, { action: 'logout' })
      const { limits, actions } = limiter.stats()
      assert.deepEqual(limits, {
        user: { allowed: 2, denied: 1 },
        ip: { allowed: 0, denied: 0 },
        default: { allowed: 1, denied: 2 },
      })
      assert.deepEqual(actions, { login: { allowed: 1, denied: 2 }, other: { allowed: 2, denied: 1 } })
    })

    test('by the limit on new keys where that refuses', async (t) => {
      const newKeys = { by: 'ip', limit: 2, window: '1d' }
      const limiter = make(t, { limits: [{ name: 'user', by: 'user', limit: 9, window: '1d' }], newKeys })
      for (const user of ['a', 'b', 'c', 'd']) await limiter.check({ user, ip: '::1' })
      const { limits, topDenied } = limiter.stats()
      assert.deepEqual(limits, { user: { allowed: 2, denied: 0 }, newKeys: { allowed: 0, denied: 2 } })
      assert.deepEqual(topDenied, [
        { key: 'user=c,ip=::1', denied: 1 },
        { key: 'user=d,ip=::1', denied: 1 },
      ])
    })

    test('the keys that are denied most, most often first', async (t) => {
      const limiter = make(t, { limit: 1, window: '1d' })
      await calls(limiter, 11, 'often')
      await calls(limiter, 31, 'most')
      await calls(limiter, 3, 'seldom', { cost: 1 })
      await calls(limiter, 1, 'never')
      assert.deepEqual(limiter.stats().topDenied, [
        { key: 'most', denied: 30 },
        { key: 'often', denied: 10 },
        { key: 'seldom', denied: 2 },
      ])
    })

    test('no more than 20 keys are told', async (t) => {
      const limiter = make(t, { limit: 1, window: '1d' })
      for (let key = 0; key < 40; key += 1) await calls(limiter, 2 + key, `key-${key}`)
      const { topDenied } = limiter.stats()
      const most = Array.from({ length: 20 }, (_, index) => ({ key: `key-${39 - index}`, denied: 40 - index }))
      assert.deepEqual(topDenied, most)
    })

    test('keys of which nobody is to read are told by their pseudonyms, long ones by digests', async (t) => {
      const hidden = make(t, { limit: 1, window: '1d', hashKeys: 'a secret of all servers' })
      await calls(hidden, 3, 'ada@example.org')
      const [{ key, denied }] = hidden.stats().topDenied
      assert.equal(denied, 2)
      assert.match(key, /^%hmac:[0-9a-f]{32}$/)
      const limiter = make(t, { limit: 1, window: '1d' })
      await calls(limiter, 2, 'ä'.repeat(600))
      await calls(limiter, 3, 'x'.repeat(1_000))
      const [cut, digest] = limiter.stats().topDenied
      assert.equal(cut.key, `${'x'.repeat(256)}…`)
      assert.match(digest.key, /^%sha256:[0-9a-f]{64}$/)
    })

    test('a key within an owner is told by both', async (t) => {
      const limits = [
        { name: 'user', by: 'user', limit: 1, window: '1d' },
        { name: 'all', by: 'global', limit: 9, window: '1d' },
      ]
      const limiter = make(t, { limits, hashTag: 'tenant' })
      await calls(limiter, 3, { tenant: 't', user: 'u' })
      assert.deepEqual(limiter.stats().topDenied, [{ key: 'tenant=t,user=u', denied: 2 }])
    })
  })
}

describe('a limiter in memory', { timeout: 60_000 }, () => {
  test('many denials are sampled, and nobody who is often denied is missed', async (t) => {
    const limiter = inMemory(t, { limit: 1, window: '1d' })
    for (let call = 0; call < 160_000; call += 1) await limiter.isAllowed(call % 4 === 0 ? 'hot' : `once-${call % 90}`)
    const { denied, topDenied } = limiter.stats()
    assert.ok(denied > 159_000)
    assert.equal(topDenied[0].key, 'hot')
    // At most a 64th too few, and five standard deviations of four times the root either way.
    const deviations = 5 * 4 * Math.sqrt(40_000)
    const counted = topDenied[0].denied
    assert.ok(counted <= 40_000 + deviations && counted >= 40_000 - denied / 64 - deviations, `${counted} of 40,000`)
  })

  test('has no circuit, no batches, and bytes of its keys', async (t) => {
    const limiter = inMemory(t, { limit: 3, window: '1d', maxMemory: '1mb' })
    const before = limiter.stats()
    assert.deepEqual([before.circuit, before.keys, before.bytes], ['none', 0, 0])
    for (let key = 0; key < 1_000; key += 1) await limiter.isAllowed(`key-${key}`)
    const { keys, bytes, batchSizes, latency, merged, leases } = limiter.stats()
    assert.equal(keys, 1_000)
    assert.ok(bytes >= 64 * keys && bytes <= 1 << 20, `${bytes} bytes of ${keys} keys`)
    assertWhole(batchSizes, BATCH_BOUNDS)
    assertWhole(latency, LATENCY_BOUNDS)
    assert.deepEqual([batchSizes.count, latency.count, merged, leases], [0, 0, 0, { held: 0, units: 0 }])
    for (let key = 0; key < 1_000; key += 1) await limiter.isAllowed(`${'long'.repeat(20)}-${key}`)
    const later = limiter.stats().bytes
    assert.ok(later > bytes + 64_000, `${later} bytes with long keys`)
  })
})

describe('a limiter on Redis', { timeout: 120_000 }, () => {
  for (const driver of ['loop', 'thread']) {
    test(`every script call is timed, and counted by its size: ${driver}`, async (t) => {
      const limiter = onRedis(t, { limit: 1_000, window: '1d', driver })
      await limiter.ready()
      for (const size of [1, 1, 3, 100]) {
        await Promise.all(Array.from({ length: size }, (_, index) => limiter.isAllowed(`key-${index}`)))
      }
      await until(() => limiter.stats().latency.count === limiter.stats().batches, 'all are answered')
      const { batches, batchedCalls, batchSizes, latency } = limiter.stats()
      assertWhole(batchSizes, BATCH_BOUNDS)
      assertWhole(latency, LATENCY_BOUNDS)
      assert.equal(batchSizes.count, batches)
      assert.equal(batchSizes.sum, 105)
      assert.equal(batchedCalls, 105)
      assert.ok(batchSizes.counts[0] >= 2)
      assert.ok(latency.sum > 0)
    })
  }

  test('latency is what a call takes, also one that is late', async (t) => {
    const proxy = await startProxy(redis.port)
    t.after(() => proxy.stop())
    const limiter = onRedis(t, { limit: 9, window: '1d', redisUrl: proxy.url, timeout: '40ms', onStoreError: 'allow' })
    await limiter.ready()
    proxy.behave({ delayAnsweredMs: 60 })
    await limiter.isAllowed('key')
    await until(() => limiter.stats().latency.count === 1, 'it is answered at last')
    const { latency, storeErrors } = limiter.stats()
    assert.equal(storeErrors, 1)
    assert.ok(latency.sum >= 60, `${latency.sum} ms`)
    // Above 50 milliseconds at least.
    assert.equal(sum(latency.counts.slice(LATENCY_BOUNDS.indexOf(50) + 1)), 1)
  })

  for (const through of ['redisUrl', 'ioredis', 'cluster']) {
    test(`calls on one key travel merged: ${through}`, async (t) => {
      const options = { limit: 1_000, window: '1d' }
      if (through === 'ioredis') {
        const redisClient = await STANDALONE.ioredis.open({ port: redis.port })
        t.after(() => STANDALONE.ioredis.close(redisClient))
        Object.assign(options, { redisUrl: undefined, redisClient })
      } else if (through === 'cluster') {
        const cluster = await startRedisCluster()
        t.after(() => cluster.stop())
        Object.assign(options, { redisUrl: cluster.nodes.map(({ url }) => url) })
      }
      const limiter = onRedis(t, options)
      await limiter.ready()
      await limiter.isAllowed('key')
      await Promise.all(Array.from({ length: 20 }, (_, index) => limiter.isAllowed(`key-${index}`)))
      assert.equal(limiter.stats().merged, 0, 'nobody shares a key')
      await Promise.all(Array.from({ length: 100 }, () => limiter.isAllowed('key')))
      const { merged, batchedCalls } = limiter.stats()
      assert.equal(batchedCalls, 121)
      assert.ok(merged > 50 && merged <= 100, `${merged} of 100 were merged`)
    })
  }

  test('the circuit is open while Redis is away, is tried, and is closed again', async (t) => {
    const port = await freePort()
    let server = await startRedis({ port })
    t.after(() => server.stop())
    const limiter = onRedis(t, {
      limit: 9,
      window: '1d',
      redisUrl: server.url,
      onStoreError: 'local',
      timeout: '100ms',
    })
    assert.equal(limiter.stats().circuit, 'closed', 'the first answer is waited for')
    await limiter.ready()
    await limiter.isAllowed('key')
    assert.equal(limiter.stats().circuit, 'closed')
    await server.stop()
    await until(() => limiter.stats().circuit === 'open', 'it is open')
    const { store, circuitOpened } = limiter.stats()
    assert.deepEqual([store, circuitOpened], ['down', 1])
    await limiter.isAllowed('key')
    const { sources, limits } = limiter.stats()
    assert.deepEqual([sources.redis, sources.fallback], [1, 1])
    assert.deepEqual(limits, { default: { allowed: 2, denied: 0 } })
    server = await startRedis({ port })
    await until(() => limiter.stats().circuit === 'closed', 'it is closed')
    assert.equal(limiter.stats().store, 'up')
  })

  test('a Redis that accepts and says nothing is being tried', async (t) => {
    const proxy = await startProxy(redis.port)
    t.after(() => proxy.stop())
    const limiter = onRedis(t, { limit: 9, window: '1d', redisUrl: proxy.url, timeout: '100ms', onStoreError: 'allow' })
    await limiter.ready()
    proxy.behave({ stall: true })
    const isTried = async () => (await limiter.isAllowed('key')) && limiter.stats().circuit === 'half-open'
    await until(isTried, 'it is tried')
    assert.equal(limiter.stats().store, 'down')
    proxy.behave()
    await until(() => limiter.stats().circuit === 'closed', 'it is closed')
  })

  test('what is leased, and what is left of it', async (t) => {
    const limiter = onRedis(t, { limit: 100_000, window: '1h', lease: { max: 100, ttl: '1m' } })
    assert.deepEqual(limiter.stats().leases, { held: 0, units: 0 })
    await until(async () => (await limiter.check('hot')).source === 'lease', 'a lease decides', 10_000)
    const { held, units } = limiter.stats().leases
    assert.equal(held, 1)
    assert.ok(units >= 1 && units <= 200, `${units} units`)
    const { sources, limits } = limiter.stats()
    assert.equal(limits.default.allowed, sources.lease + sources.redis)
    await limiter.close()
    assert.deepEqual(limiter.stats().leases, { held: 0, units: 0 })
  })

  test('refusals that are known are counted for their keys', async (t) => {
    const limiter = onRedis(t, { limits: USERS, denyCache: '1m' })
    await calls(limiter, 8, { user: 'a', ip: '::1' })
    const { sources, topDenied, limits } = limiter.stats()
    assert.ok(sources['deny-cache'] > 0)
    assert.deepEqual(topDenied, [{ key: 'user=a,ip=::1', denied: 6 }])
    assert.equal(limits.user.denied, 6)
  })
})

describe('shared memory', { timeout: 60_000 }, () => {
  test('bytes are those of the file that are in use', async (t) => {
    const shared = sharedName(t)
    const limiter = new RateLimiter({ limit: 100, window: '1d', resolution: 64, shared, maxMemory: '1mb' })
    t.after(() => limiter.close())
    const { bytes: empty } = limiter.stats()
    await limiter.isAllowed('a')
    const { bytes: one } = limiter.stats()
    for (let key = 1; key < 100; key += 1) await limiter.isAllowed(`key-${key}`)
    const { bytes: hundred, keys } = limiter.stats()
    assert.equal(keys, 100)
    assert.equal(hundred - empty, 100 * (one - empty), 'each key takes as much')
    assert.ok(empty > 0 && hundred <= 1 << 20)
    const begun = Date.now() - 8.5e7
    // A state that is too long for its key's entry takes cells, and gives them back.
    for (let call = 0; call < 60; call += 1) await limiter.isAllowed('long', { timestamp: begun + call * 1.4e6 })
    const { bytes: long } = limiter.stats()
    assert.ok(long > hundred + (one - empty), `${long} bytes, and ${hundred} before`)
    await limiter.reset('long')
    assert.equal(limiter.stats().bytes, hundred)
  })

  test('decisions are counted, and whom they refuse', async (t) => {
    const limiter = new RateLimiter({ limit: 2, window: '1d', shared: sharedName(t), maxMemory: '64kb' })
    t.after(() => limiter.close())
    await calls(limiter, 5)
    const { limits, topDenied, circuit } = limiter.stats()
    assert.deepEqual(limits, { default: { allowed: 2, denied: 3 } })
    assert.deepEqual(topDenied, [{ key: 'key', denied: 3 }])
    assert.equal(circuit, 'none')
  })
})
