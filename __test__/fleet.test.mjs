/** `fallback: { share: 'fleet' }`: instances that know of each other keep one limit together when Redis is lost. */

import assert from 'node:assert/strict'
import { describe, test } from 'node:test'

import { DistributedRateLimiter, RateLimiter } from 'distributed-rate-limiter'

import { startRedisCluster } from '../scripts/redis-cluster.mjs'
import { startRedisSentinel } from '../scripts/redis-sentinel.mjs'
import { freePort, startRedis } from '../scripts/redis.mjs'
import { redisCommand } from '../scripts/resp.mjs'
import { assertEnded, program, start } from './support/child.mjs'
import { CLUSTER, STANDALONE, waysTo } from './support/clients.mjs'
import { settles, until } from './support/wait.mjs'

const INSTANCES = 8
const LIMIT = 100

const sum = (numbers) => numbers.reduce((sum, number) => sum + number, 0)

describe('instances that share a fallback', { timeout: 120_000 }, () => {
  test(`${INSTANCES} processes keep one limit when Redis is killed, and one that begins then takes one unit`, async (t) => {
    const redis = await startRedis()
    t.after(() => redis.stop())
    const options = { limit: LIMIT, window: '1h', redisUrl: redis.url, timeout: '1s', fallback: { share: 'fleet' } }
    const instance = (...more) =>
      start(program('fleet.mjs'), { args: [JSON.stringify(options), 'key', INSTANCES, ...more], within: 90_000 })

    const instances = Array.from({ length: INSTANCES }, () => instance())
    t.after(() => Promise.all(instances.map((one) => one.stop('SIGKILL'))))
    await Promise.all(instances.map((one) => one.message()))
    const underLoad = instances.map((one) => one.message())
    for (const one of instances) one.send('go')
    await Promise.all(underLoad)
    const reports = instances.map((one) => one.message())
    await redis.kill()
    const said = await Promise.all(reports)
    for (const one of instances) assertEnded(await one.ended, 'an instance')

    const byRedis = sum(said.map((report) => report.redis))
    const byFallback = sum(said.map((report) => report.fallback))
    t.diagnostic(`${byRedis} by Redis, ${byFallback} without it: ${said.map((report) => report.fallback).join(', ')}`)
    assert.ok(byRedis <= LIMIT)
    assert.ok(byFallback >= LIMIT, 'all of the limit can be used')
    assert.ok(byFallback <= LIMIT + INSTANCES - 1, 'together they keep it')
    assert.ok(byRedis + byFallback <= 2 * LIMIT + INSTANCES - 1)

    const ninth = instance('late')
    t.after(() => ninth.stop('SIGKILL'))
    assert.equal(await ninth.message(), 'under load')
    assert.deepEqual(await ninth.message(), { redis: 0, fallback: 1, fleet: null })
  })

  for (const [topology, kinds, begin] of [
    ['one server', STANDALONE, startRedis],
    ['a cluster', CLUSTER, startRedisCluster],
  ]) {
    test(`whoever reaches ${topology} in whatever way is counted`, async (t) => {
      const server = await begin()
      t.after(() => server.stop())
      const ways = await waysTo(t, server, kinds)
      const limiters = ways.map(
        (way) => new RateLimiter({ limit: 5, window: '1h', timeout: '10s', fallback: { share: 'fleet' }, ...way }),
      )
      t.after(() => Promise.all(limiters.map((limiter) => limiter.close())))
      const sizes = () => limiters.map((limiter) => limiter.stats().fleet)
      await until(() => sizes().every((size) => size === ways.length), `all are known: ${sizes()}`, 20_000)
    })
  }

  test('behind sentinels, a master that has just taken over hears of all of them', async (t) => {
    const group = await startRedisSentinel()
    t.after(() => group.stop())
    const limiters = Array.from({ length: 3 }, () => {
      const sentinel = { name: group.name, urls: group.urls }
      return new RateLimiter({ limit: 5, window: '1h', timeout: '10s', sentinel, fallback: { share: 'fleet' } })
    })
    t.after(() => Promise.all(limiters.map((limiter) => limiter.close())))
    const sizes = () => limiters.map((limiter) => limiter.stats().fleet)
    await until(() => sizes().every((size) => size === limiters.length), 'all are known', 20_000)

    const before = await group.master()
    await group.failover()
    await until(async () => (await group.master()) !== before, 'another is the master', 20_000)
    // Its list is what it had been passed on; a fourth one can only be heard of where all announce themselves anew.
    const late = new RateLimiter({
      ...{ limit: 5, window: '1h', timeout: '10s', fallback: { share: 'fleet' } },
      redisUrl: `redis://127.0.0.1:${await group.master()}`,
    })
    t.after(() => late.close())
    limiters.push(late)
    await until(() => sizes().every((size) => size === limiters.length), `all are known: ${sizes()}`, 20_000)
  })

  test('a Redis that refuses announcements is told of once, and decides all the same', async (t) => {
    const redis = await startRedis()
    t.after(() => redis.stop())
    await redisCommand(redis.port, 'ACL', 'SETUSER', 'default', '-zadd')
    const warned = []
    const limiter = new RateLimiter({
      ...{ limit: 5, window: '1h', redisUrl: redis.url, timeout: '10s', fallback: { share: 'fleet' } },
      logger: { warn: (message) => warned.push(message), error: (message) => warned.push(message) },
    })
    t.after(() => limiter.close())
    const told = new Promise((resolve) => limiter.once('fleetUnknown', resolve))
    assert.equal((await limiter.check('key')).source, 'redis')
    const error = await settles(told, 'the event')
    assert.equal(error.code, 'ERR_RATE_LIMIT_STORE_UNAVAILABLE')
    assert.deepEqual(warned.length, 1, warned.join())
    assert.equal(limiter.stats().fleet, null)
    assert.equal((await limiter.check('key')).source, 'redis')
  })

  // Twice `maxRequests` stood in the place of whatever fallback was given.
  test('a DistributedRateLimiter keeps the fallback that it is given', async (t) => {
    const given = { maxRequests: 10, timeWindowMs: 60_000, redisUrl: `redis://127.0.0.1:${await freePort()}` }
    for (const [fallback, limit] of [
      [undefined, 20],
      [{ limit: 5 }, 5],
      [{ share: 'fleet' }, 1],
    ]) {
      const limiter = new DistributedRateLimiter({ ...given, fallback })
      t.after(() => limiter.close())
      assert.equal((await limiter.check('key')).limit, limit)
    }
  })

  test('without a store nothing is shared, and nothing is announced without `share`', async (t) => {
    const redis = await startRedis()
    t.after(() => redis.stop())
    const here = new RateLimiter({ limit: 5, window: '1h', fallback: { share: 'fleet' } })
    const plain = new RateLimiter({ limit: 5, window: '1h', redisUrl: redis.url, fallback: { limit: 3 } })
    t.after(() => Promise.all([here.close(), plain.close()]))
    await plain.ready()
    assert.deepEqual([here.stats().fleet, plain.stats().fleet], [null, null])
    assert.equal((await here.check('key')).limit, 5)
    assert.equal(await redisCommand(redis.port, 'DBSIZE'), 0)
  })
})
