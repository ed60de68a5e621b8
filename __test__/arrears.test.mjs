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

  for (const [coverage, title] of [
    ['no', 'a cluster that lost a master while the others decided'],
    ['yes', 'a cluster that was down as a whole since it had lost a master'],
  ]) {
    test(`is told to ${title}`, async (t) => {
      const durable = ['--appendonly', 'yes', '--appendfsync', 'always']
      const cluster = await startRedisCluster({ args: ['--cluster-require-full-coverage', coverage, ...durable] })
      t.after(() => cluster.stop())
      const redisUrl = cluster.nodes.map(({ url }) => url)
      const limit = 1_000_000
      const limiter = new RateLimiter({ limit, window: '1d', redisUrl, timeout: '10s' })
      t.after(() => limiter.close())
      await limiter.ready()
      const admitted = new Map(Array.from({ length: 60 }, (_, index) => [`key-${index}`, 0]))
      /** Calls once on each key; resolves with who has decided. */
      async function round() {
        const deciding = [...admitted.keys()].map(async (key) => {
          const { source } = await limiter.check(key)
          admitted.set(key, admitted.get(key) + 1)
          return source
        })
        return new Set(await Promise.all(deciding))
      }
      const isBy = async (...sources) => [...(await round())].toSorted().join() === sources.join()
      assert.deepEqual([...(await round())], ['redis'])

      await cluster.nodes[1].kill()
      const during = coverage === 'no' ? ['fallback', 'redis'] : ['fallback']
      await until(() => isBy(...during), 'its loss is known')
      for (let again = 0; again < 20; again += 1) await round()
      await cluster.nodes[1].restart()
      await until(() => isBy('redis'), 'all of it is back', 20_000)
      /** How many of its admissions Redis has not counted, of each key. */
      async function missing() {
        const counted = [...admitted].map(async ([key, count]) => count - limit + (await limiter.peek(key)).remaining)
        return Promise.all(counted)
      }
      // Calls that were under way when the master was killed, or the circuit opened, are not told: they may have been counted.
      await until(async () => (await missing()).every((count) => count <= 5), 'Redis is told', 20_000)
      assert.ok(Math.min(...admitted.values()) > 20, 'there were many more')
      assert.ok(
        (await missing()).every((count) => count >= 0),
        'and of nothing twice',
      )
    })
  }
})
