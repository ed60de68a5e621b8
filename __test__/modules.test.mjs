/** However the package is loaded, it is one class. */

import assert from 'node:assert/strict'
import { EventEmitter } from 'node:events'
import { createRequire } from 'node:module'
import { describe, test } from 'node:test'

import * as imported from 'distributed-rate-limiter'

const required = createRequire(import.meta.url)('distributed-rate-limiter')
const { RateLimiter } = imported

/** What the types promise. */
const CLASSES = ['ConcurrencyLimiter', 'DistributedRateLimiter', 'RateLimiter']
const METHODS = [
  'acquire',
  'block',
  'check',
  'checkRequest',
  'close',
  'configure',
  'explain',
  'isAllowed',
  'isAllowedSync',
  'latency',
  'peek',
  'penalty',
  'policies',
  'publishPolicies',
  'ready',
  'refund',
  'reserve',
  'reset',
  'sharedPolicies',
  'stats',
  'unblock',
  'update',
]

describe('modules', { timeout: 30_000 }, () => {
  test('import and require give the same class', async () => {
    assert.equal(required.RateLimiter, RateLimiter)
    assert.equal((await import('distributed-rate-limiter')).RateLimiter, RateLimiter)
  })

  test('import and require give the same memcached', async () => {
    const { memcachedCache } = createRequire(import.meta.url)('distributed-rate-limiter/memcached')
    assert.equal(typeof memcachedCache, 'function')
    assert.equal((await import('distributed-rate-limiter/memcached')).memcachedCache, memcachedCache)
  })

  test('each exports what the types declare, and nothing else', () => {
    assert.deepEqual(Object.keys(imported), CLASSES)
    assert.deepEqual(Object.keys(required), CLASSES)
  })

  test('package.json can be read by tools', () => {
    const { name, version } = createRequire(import.meta.url)('distributed-rate-limiter/package.json')
    assert.equal(name, 'distributed-rate-limiter')
    assert.match(version, /^\d+\.\d+\.\d+/)
  })
})

describe('the class', { timeout: 30_000 }, () => {
  const limiter = new RateLimiter({ limit: 5, window: '1d' })

  test('has its name', () => {
    assert.equal(RateLimiter.name, 'RateLimiter')
    assert.equal(limiter.constructor, RateLimiter)
  })

  test('is an EventEmitter', () => {
    assert.ok(limiter instanceof RateLimiter)
    assert.ok(limiter instanceof EventEmitter)
    const heard = []
    limiter.once('storeUp', () => heard.push('storeUp'))
    limiter.emit('storeUp')
    limiter.emit('storeUp')
    assert.deepEqual(heard, ['storeUp'])
  })

  test('has the methods that the types declare, and no others', () => {
    const own = Object.entries(Object.getOwnPropertyDescriptors(RateLimiter.prototype))
    const methods = own.filter(([name, { value }]) => name !== 'constructor' && value !== undefined)
    assert.deepEqual(methods.map(([name]) => name).sort(), METHODS)
    for (const method of METHODS) assert.equal(typeof limiter[method], 'function', method)
  })

  test('cannot be called without new', () => {
    assert.throws(() => RateLimiter({ limit: 5, window: '1d' }), TypeError)
  })

  test('can be extended', async () => {
    class PerUser extends RateLimiter {
      isAllowed(user) {
        return super.isAllowed(`user:${user.id}`)
      }
    }
    const perUser = new PerUser({ limit: 1, window: '1d' })
    assert.ok(perUser instanceof RateLimiter)
    assert.equal(await perUser.isAllowed({ id: 1 }), true)
    assert.equal(await perUser.isAllowed({ id: 1 }), false)
    assert.equal((await perUser.check('user:1')).allowed, false, 'the same count')
    await perUser.close()
  })

  test('keeps its state to itself', () => {
    assert.deepEqual(
      Object.keys(limiter).filter((name) => !name.startsWith('_')),
      [],
      'no enumerable fields of ours',
    )
  })
})
