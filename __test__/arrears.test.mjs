/** What processes admit in Redis's place they tell it when it is back: a client can hardly use an outage twice. */

import assert from 'node:assert/strict'
import { describe, test } from 'node:test'

import { RateLimiter } from 'distributed-rate-limiter'

import { startRedisCluster } from '../scripts/redis-cluster.mjs'
import { startRedis } from '../scripts/redis.mjs'
import { until } from './support/wait.mjs'

const calls = async (limiter, key, count) => {
  const decisions = await Promise.all(Array.from({ length: count }, () => limiter.check(key)))
  return decisions.map(({ source }) => source)
}

describe('what was admitted while Redis was away', { timeout: 60_000 }, () => {
  for (const [title, args, left] of [
    ['a Redis that comes back empty', [], 6],
    ['a Redis that comes back with what it knew', ['--appendonly', 'yes', '--appendfsync', 'always'], 3],
  ]) {
    test(`is told to ${title}`, async (t) => {
      const redis = await startRedis({ args })
      t.after(() => redis.stop())
      const limiter = new RateLimiter({ limit: 10, window: '1h', redisUrl: redis.url, timeout: '10s' })
      t.after(() => limiter.close())
      await limiter.ready()
      assert.deepEqual(await calls(limiter, 'key', 3), Array(3).fill('redis'))

      await redis.kill()
      await until(() => limiter.stats().store === 'down', 'its loss is known')
      assert.deepEqual(await calls(limiter, 'key', 4), Array(4).fill('fallback'))
      await redis.restart()
      await limiter.ready({ timeout: '30s' })
      await until(() => limiter.stats().told === 1, 'Redis is told')
      const { source, remaining } = await limiter.peek('key')
      assert.deepEqual({ source, remaining }, { source: 'redis', remaining: left })
    })
  }

  test('is told to the master of a cluster that was lost, while the others decide', async (t) => {
    const durable = ['--appendonly', 'yes', '--appendfsync', 'always']
    const cluster = await startRedisCluster({ args: ['--cluster-require-full-coverage', 'no', ...durable] })
    t.after(() => cluster.stop())
    const redisUrl = cluster.nodes.map(({ url }) => url)
    const limiter = new RateLimiter({ limit: 10, window: '1h', redisUrl, timeout: '10s' })
    t.after(() => limiter.close())
    await limiter.ready()
    const keys = Array.from({ length: 60 }, (_, index) => `key-${index}`)
    const source = async (key) => (await calls(limiter, key, 1))[0]
    for (const key of keys) assert.equal(await source(key), 'redis')

    await cluster.nodes[1].kill()
    const isLost = async () => (await Promise.all(keys.map(source))).includes('fallback')
    await until(isLost, 'its loss is known')
    const before = await Promise.all(keys.map(async (key) => (await limiter.peek(key)).remaining))
    const [theirs, others] = [[], []]
    for (const [index, key] of keys.entries()) {
      const list = (await source(key)) === 'fallback' ? theirs : others
      list.push({ key, before: before[index] })
    }
    assert.ok(theirs.length > 0 && others.length > 0, `${theirs.length} of ${keys.length} are theirs`)
    await cluster.nodes[1].restart()
    await until(() => limiter.stats().told >= theirs.length, 'the master is told of each', 20_000)
    assert.equal(limiter.stats().circuitOpened, 0)
    for (const { key, before } of others)
      assert.equal((await limiter.peek(key)).remaining, before - 1, `${key} of the others`)
    for (const { key } of theirs) {
      const { source, remaining } = await limiter.peek(key)
      // One in Redis, one or two in its place, of which the first may have been sent.
      assert.equal(source, 'redis')
      assert.ok([7, 8].includes(remaining), `${key}: ${remaining} are left`)
    }
  })
})
