/** A polluted `Object.prototype` changes nothing: only what an object says itself is read. */

import assert from 'node:assert/strict'
import { describe, test } from 'node:test'

import { DistributedRateLimiter, RateLimiter } from 'distributed-rate-limiter'

import { freePort } from '../scripts/redis.mjs'
import { GOOD, kind } from './support/bad-input.mjs'
import { assertRefusal, thrownBy } from './support/refusal.mjs'
import { until } from './support/wait.mjs'

describe('a polluted Object.prototype', { timeout: 30_000 }, () => {
  /** Runs `action` while every object inherits `name: value`. Synchronous, so that nobody else sees it. */
  function polluted(name, value, action) {
    Object.defineProperty(Object.prototype, name, { value, configurable: true, enumerable: true, writable: true })
    try {
      return action()
    } finally {
      delete Object.prototype[name]
    }
  }

  for (const [name, value] of [
    ['limit', 5],
    ['window', '1d'],
  ]) {
    test(`does not supply a missing ${name}`, () => {
      const { [name]: left, ...rest } = GOOD
      const refusal = polluted(name, value, () => thrownBy(() => new RateLimiter(rest), `inherited ${name}`))
      assertRefusal(refusal, { ...kind, says: [name] }, `inherited ${name} instead of ${left}`)
    })
  }

  for (const [name, value] of [
    ['limits', 5],
    ['actions', 5],
    ['redisClient', 5],
    ['cacheClient', 5],
    ['align', 5],
    ['clock', 'nope'],
    ['hashKeys', true],
    ['algorithm', 'nope'],
    ['burst', 5],
    ['resolution', 0],
    ['prefix', ''],
    ['redisUrl', 'nope'],
    ['timeout', 0],
    ['maxMemory', 0],
    ['denyCache', 0],
    ['onStoreError', 'nope'],
    ['fallback', 5],
    ['logger', 5],
    ['xylophone', 1],
  ]) {
    test(`${name} is not read from it`, async () => {
      const limiter = polluted(name, value, () => new RateLimiter({ ...GOOD }))
      assert.equal(await limiter.isAllowed('somebody'), true)
      await limiter.close()
    })
  }

  for (const name of ['redisClient', 'cacheClient']) {
    test(`a ${name} that would work is not taken from it`, async () => {
      const asked = []
      const client = {}
      for (const method of ['evalsha', 'eval', 'get', 'set', 'del'])
        client[method] = async () => void asked.push(method)
      const limiter = polluted(name, client, () => new RateLimiter({ ...GOOD }))
      assert.equal((await limiter.check('somebody')).source, 'memory')
      await limiter.close()
      assert.deepEqual(asked, [])
    })
  }

  test('a logger is not taken from it', async () => {
    const told = []
    const logger = { warn: (message) => told.push(message), error: (message) => told.push(message) }
    const redisUrl = `redis://127.0.0.1:${await freePort()}`
    const limiter = polluted('logger', logger, () => new RateLimiter({ ...GOOD, redisUrl }))
    let isDown = false
    limiter.once('storeDown', () => (isDown = true))
    await until(() => isDown, 'its loss is told')
    await limiter.close()
    assert.deepEqual(told, [])
  })

  test('an error has no name that is only inherited', () => {
    for (const [name, wrong] of [
      ['maxRequests', { limit: 0, window: '1m' }],
      ['timeWindowMs', { limit: 1, window: 0 }],
      ['fallbackMaxRequests', { limit: 1, window: '1m', fallback: 5 }],
    ]) {
      const refusal = polluted(name, 1, () => thrownBy(() => new DistributedRateLimiter(wrong), name))
      assert.ok(!refusal.message.includes(name), refusal.message)
    }
  })

  for (const [name, value] of [
    ['cost', 5],
    ['upTo', 5],
    ['action', 'other'],
    ['limit', 5],
    ['window', '1d'],
    ['timestamp', 0],
    ['maxWait', 'nope'],
    ['signal', 5],
  ]) {
    test(`${name} of a call is not read from it`, async () => {
      const limiter = new RateLimiter(GOOD)
      const calls = polluted(name, value, () => [
        limiter.check('somebody', {}),
        limiter.acquire('somebody', {}),
        limiter.acquire('somebody'),
      ])
      const decisions = await Promise.all(calls)
      assert.deepEqual(
        decisions.map(({ remaining }) => remaining),
        [9, 8, 7],
        'each cost 1',
      )
      await limiter.close()
    })
  }

  for (const [name, value] of [
    ['by', 'user'],
    ['name', 'other'],
    ['extra', 5],
    ['limit', 1],
    ['algorithm', 'nope'],
  ]) {
    test(`${name} is not read from it inside of other options`, async () => {
      const limits = [{ name: 'a', limit: 10, window: '1m', burst: { extra: 1, window: '1m' }, fallback: {} }]
      const limiter = polluted(name, value, () => new RateLimiter({ limits }))
      assert.equal((await limiter.check('somebody')).limit, 11)
      await limiter.close()
    })
  }

  for (const [name, value] of [
    ['maxRequests', 1],
    ['timeWindowMs', 1],
    ['fallbackMaxRequests', 'nope'],
    ['fallbackTimeWindowMs', 'nope'],
    ['limit', 1],
    ['window', 1],
    ['limits', []],
    ['fallback', 5],
  ]) {
    test(`${name} of a DistributedRateLimiter is not read from it`, async () => {
      for (const options of [
        { maxRequests: 10, timeWindowMs: 60_000 },
        { limit: 10, window: '1m' },
      ]) {
        const limiter = polluted(name, value, () => new DistributedRateLimiter(options))
        assert.equal((await limiter.check('somebody')).limit, 10)
        await limiter.close()
      }
    })
  }
})
