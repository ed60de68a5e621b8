/** What processes admit in Redis's place they tell it when it is back: a client can hardly use an outage twice. */

import assert from 'node:assert/strict'
import { describe, test } from 'node:test'

import { RateLimiter } from 'distributed-rate-limiter'

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
})
