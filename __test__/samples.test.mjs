/**
 * The five specifications' own samples, as they are written there; what a sample leaves open (a user, a client that is connected) is
 * given around it.
 */

import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'

import { DistributedRateLimiter, RateLimiter } from 'distributed-rate-limiter'
import { Redis } from 'ioredis'

import { startRedis } from '../scripts/redis.mjs'
import { MemoryCache } from './support/memory-cache.mjs'

describe('the five samples', { timeout: 60_000 }, () => {
  let redis
  let redisClient
  before(async () => {
    redis = await startRedis()
    redisClient = new Redis(redis.url)
  })
  after(async () => {
    await redisClient.quit()
    await redis.stop()
  })

  const closing = (t, limiter) => {
    t.after(() => limiter.close())
    return limiter
  }

  test('1: { limit, window, redisClient } and isAllowed(userId), shared by servers', async (t) => {
    const options = { limit: 100, window: 60_000, redisClient, timeout: '10s', onStoreError: 'throw' }
    const [one, other] = [closing(t, new RateLimiter(options)), closing(t, new RateLimiter(options))]
    const calls = Array.from({ length: 150 }, (_, index) => (index % 2 ? one : other).isAllowed('user123'))
    const allowed = (await Promise.all(calls)).filter(Boolean)
    assert.equal(allowed.length, 100)
    assert.equal(await one.isAllowed('another user'), true)
  })

  for (const Face of [RateLimiter, DistributedRateLimiter]) {
    test(`2: ${Face.name}.checkRequest(userId, timestamp) gives allowRequest and retryAfter`, async (t) => {
      const limiter = closing(t, new Face({ limit: 2, window: '1m', redisUrl: redis.url, prefix: Face.name }))
      await limiter.ready()
      const userId = 'user123'
      for (let call = 0; call < 2; call += 1) {
        assert.deepEqual(await limiter.checkRequest(userId, Date.now()), { allowRequest: true, retryAfter: 0 })
      }
      const { allowRequest, retryAfter } = await limiter.checkRequest(userId, Date.now())
      assert.equal(allowRequest, false)
      assert.ok(Number.isInteger(retryAfter) && retryAfter >= 1 && retryAfter <= 61, `${retryAfter} seconds`)
    })
  }

  test('2: without any store it decides in memory', async (t) => {
    const limiter = closing(t, new DistributedRateLimiter({ limit: 1, window: 1_000 }))
    assert.deepEqual(await limiter.checkRequest('user123', Date.now()), { allowRequest: true, retryAfter: 0 })
    assert.deepEqual(await limiter.checkRequest('user123', Date.now()), { allowRequest: false, retryAfter: 1 })
  })

  test('3: configureRateLimit, then 15 calls of which 10 are allowed', async (t) => {
    const printed = []
    const console = { log: (line) => printed.push(line) }

    const rateLimiter = new DistributedRateLimiter()

    // Configure rate limit for user "user123": 10 requests per minute
    rateLimiter.configureRateLimit('user123', { limit: 10, windowMs: 60000 })

    // Simulate multiple requests from user "user123"
    for (let i = 0; i < 15; i++) {
      const allowed = await rateLimiter.isAllowed('user123')
      console.log(`Request ${i + 1} from user123: ${allowed}`)
    }

    closing(t, rateLimiter)
    const expected = Array.from({ length: 15 }, (_, index) => `Request ${index + 1} from user123: ${index < 10}`)
    assert.deepEqual(printed, expected)
    await assert.rejects(rateLimiter.isAllowed('somebody else'), { code: 'ERR_RATE_LIMIT_NO_LIMIT' })
  })

  test('4: isAllowed(clientId, action, limit, timeWindow), with the window in seconds', async (t) => {
    for (const options of [undefined, { redisUrl: redis.url }, { redisClient }]) {
      const limiter = closing(t, new DistributedRateLimiter(options))
      await limiter.ready()
      const clientId = JSON.stringify(Object.keys(options ?? {}))
      const answers = []
      for (let call = 0; call < 4; call += 1) answers.push(await limiter.isAllowed(clientId, 'create_post', 3, 60))
      assert.deepEqual(answers, [true, true, true, false])
      assert.equal(await limiter.isAllowed(clientId, 'download_report', 3, 60), true, 'each action is counted apart')
      assert.equal(await limiter.isAllowed(`${clientId}2`, 'create_post', 3, 60), true)
      for (const [call, named] of [
        [['', 'create_post', 3, 60], 'key'],
        [[undefined, 'create_post', 3, 60], 'key'],
        [[clientId, '', 3, 60], 'action'],
        [[clientId, undefined, 3, 60], 'action'],
        [[clientId, 'create_post', 0, 60], 'limit'],
        [[clientId, 'create_post', 1.5, 60], 'limit'],
        [[clientId, 'create_post', '3', 60], 'limit'],
        [[clientId, 'create_post', 3, 0], 'timeWindow'],
        [[clientId, 'create_post', 3, -1], 'timeWindow'],
        [[clientId, 'create_post', 3, 0.5], 'timeWindow'],
        [[clientId, 'create_post', 3], 'timeWindow'],
      ]) {
        const code = named === 'key' ? 'ERR_RATE_LIMIT_KEY' : 'ERR_RATE_LIMIT_OPTION'
        await assert.rejects(limiter.isAllowed(...call), { code, message: new RegExp(named) }, JSON.stringify(call))
      }
    }
  })

  test('5: { maxRequests, timeWindowMs, cacheClient, … }: the cache decides, and while it fails a more lenient limit', async (t) => {
    const cacheClient = new MemoryCache()
    const limiter = closing(
      t,
      new DistributedRateLimiter({
        maxRequests: 5,
        timeWindowMs: 3_600_000,
        cacheClient,
        fallbackMaxRequests: 8,
        fallbackTimeWindowMs: 3_600_000,
      }),
    )
    await limiter.ready()
    const count = async (clientId, calls) => {
      let allowed = 0
      for (let call = 0; call < calls; call += 1) allowed += await limiter.isAllowed(clientId)
      return allowed
    }
    assert.equal(await count('client1', 10), 5)

    cacheClient.fault = () => Promise.reject(new Error('the cache is away'))
    assert.equal(await count('client2', 12), 8)
    cacheClient.fault = undefined
    await limiter.ready({ timeout: '10s' })
    assert.equal(await count('client3', 10), 5, 'correct limiting again')
    assert.equal(await count('client1', 3), 0, 'what was counted before is still counted')
  })
})
