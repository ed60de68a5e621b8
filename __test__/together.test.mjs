/** What limits can do, two of it at a time: lists and holds, limits that are tried, that give way, that are changed, that a fleet shares. */

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { after, before, describe, test } from 'node:test'

import { ConcurrencyLimiter, RateLimiter } from 'distributed-rate-limiter'

import { startRedis } from '../scripts/redis.mjs'
import { redisCommand } from '../scripts/resp.mjs'
import { assertRefusal, thrownBy } from './support/refusal.mjs'
import { manual } from './support/manual-pressure.mjs'

const DAY = { window: '1d' }

let redis
before(async () => {
  redis = await startRedis()
})
after(() => redis?.stop())

const stores = { memory: () => ({}), redis: () => ({ redisUrl: redis.url, timeout: '30s' }) }

for (const [store, where] of Object.entries(stores)) {
  const make = (t, options) => {
    const limiter = new RateLimiter({ ...where(), prefix: `${store}-${Math.random()}`, ...options })
    t.after(() => limiter.close())
    return limiter
  }

  describe(`together, ${store}`, { timeout: 60_000 }, () => {
    test('of who is on a list nothing is held, and what was held before is settled', async (t) => {
      const limiter = make(t, { limit: 10, ...DAY })
      const early = await limiter.reserve('late', { cost: 6, ttl: '1h' })
      limiter.update({ limit: 10, ...DAY, allow: ['guest', 'late'], deny: ['mallory'] })
      const guest = await limiter.reserve('guest', { cost: 8, ttl: '1h' })
      assert.deepEqual([guest.allowed, guest.reason, guest.expiresAt], [true, 'allow-list', 0])
      assert.deepEqual([(await guest.settle(8)).expired, (await limiter.check('guest')).source], [false, 'list'])
      const mallory = await limiter.reserve('mallory', { cost: 1, ttl: '1h' })
      assert.deepEqual([mallory.allowed, mallory.reason, mallory.expiresAt], [false, 'deny-list', 0])

      assert.equal((await early.settle(4)).expired, false)
      limiter.update({ limit: 10, ...DAY })
      assert.equal((await limiter.peek('late')).remaining, 6, 'what it used is counted')
      assert.equal((await limiter.peek('guest')).remaining, 10, 'and nothing of who was on the list')
    })

    test('a hold is kept back from the limits in force, and no limit that is tried hears of it', async (t) => {
      const limiter = make(t, { limit: 10, ...DAY, candidate: { limit: 3, ...DAY } })
      const held = await limiter.reserve('a', { cost: 7, ttl: '1h' })
      assert.equal(held.allowed, true)
      const { allowed, remaining, shadow } = await limiter.check('a', { cost: 3 })
      assert.deepEqual([allowed, remaining, shadow[0].allowed, shadow[0].remaining], [true, 0, true, 0])
      await held.cancel()
      assert.equal((await limiter.peek('a')).remaining, 7)

      const tried = make(t, { limit: 10, ...DAY, shadow: true })
      await assert.rejects(tried.reserve('a', { cost: 1, ttl: '1h' }), { code: 'ERR_RATE_LIMIT_UNSUPPORTED' })
    })

    test('a trial may begin and end with an update, and is told of from then on', async (t) => {
      const limiter = make(t, { limit: 10, ...DAY })
      const told = []
      limiter.on('disagreement', ({ limit, would }) => told.push([limit, would]))
      assert.equal((await limiter.check('a')).shadow, undefined)
      limiter.update({ limit: 10, ...DAY, candidate: { limit: 1, ...DAY } })
      await limiter.check('a')
      const event = once(limiter, 'disagreement')
      await limiter.isAllowed('a')
      await event
      assert.deepEqual(told, [['candidate', 'deny']])
      assert.deepEqual(limiter.stats().shadow.candidate, { agreed: 1, wouldDeny: 1, wouldAllow: 0 })
      limiter.update({ limit: 10, ...DAY })
      assert.equal((await limiter.check('a')).shadow, undefined)
      assert.equal((await limiter.peek('a')).remaining, 6, 'all calls were counted by the limit in force')
    })

    test('a list is a list also where limits are tried', async (t) => {
      const limiter = make(t, { limit: 2, ...DAY, shadow: true, allow: ['guest'], deny: ['mallory'] })
      assert.deepEqual(
        [(await limiter.check('guest')).reason, (await limiter.check('mallory')).allowed],
        ['allow-list', false],
      )
      assert.equal((await limiter.check('anybody', { cost: 5 })).allowed, true, 'nobody else is refused')
    })

    test('an override may be a calendar’s, as the limit is, and follows an update', async (t) => {
      const day = { window: { calendar: 'day', timeZone: 'Asia/Tokyo' } }
      const limiter = make(t, { limit: 2, ...day, overrides: { 'gold:*': { limit: 5, ...day } } })
      assert.equal((await limiter.check('gold:a', { cost: 3 })).remaining, 2)
      limiter.update({ limit: 2, ...day, overrides: { 'gold:*': { limit: 9, ...day } } })
      assert.equal((await limiter.check('gold:a')).remaining, 5)
      const mixed = { limit: 2, ...day, overrides: { 'gold:*': { limit: 8, ...DAY } } }
      const says = { type: TypeError, code: 'ERR_RATE_LIMIT_OPTION', says: ['`window`', 'calendar'] }
      assertRefusal(
        thrownBy(() => limiter.update(mixed), 'a window of another kind'),
        says,
        'a window of another kind',
      )
      assert.equal((await limiter.peek('gold:a')).limit, 9, 'and nothing has changed')
    })
  })
}

describe('together, under load', { timeout: 60_000 }, () => {
  test('a denial by a list is the list’s, and what was held is booked in full', async (t) => {
    const { load, make, pass } = manual(t)
    const limiter = make({ limit: 100, ...DAY, deny: ['mallory'], adaptive: { min: 0.2 } })
    const held = await limiter.reserve('a', { cost: 60, ttl: '1h' })
    load.now = 2
    pass(60)
    assert.equal(limiter.stats().adaptive.multiplier, 0.2)
    assert.equal((await limiter.check('mallory')).reason, 'deny-list')
    assert.equal((await limiter.check('a')).reason, 'adaptive', 'twenty are left of a hundred, and sixty are held')
    await held.settle(60)
    load.now = 0
    pass(600)
    assert.equal((await limiter.peek('a')).remaining, 40)
  })
})

describe('together, shared by a fleet', { timeout: 60_000 }, () => {
  test('a document has lists, overrides and policies with names, and says nothing of where it is shared', async (t) => {
    const limiter = new RateLimiter({ limit: 5, ...DAY, policies: { shared: 'together' }, redisUrl: redis.url })
    t.after(() => limiter.close())
    await limiter.ready()
    await limiter.publishPolicies({
      limit: 7,
      ...DAY,
      policies: { gold: { limit: 70, ...DAY } },
      overrides: { 'gold:*': { policy: 'gold' } },
      deny: ['10.0.0.0/8'],
    })
    assert.deepEqual(
      [(await limiter.peek('a')).limit, (await limiter.peek('gold:a')).limit, (await limiter.check('10.1.2.3')).reason],
      [7, 70, 'deny-list'],
    )
    for (const policies of ['shared', './limits.yaml', { shared: 'other' }]) {
      await assert.rejects(limiter.publishPolicies({ limit: 8, ...DAY, policies }), { code: 'ERR_RATE_LIMIT_OPTION' })
    }
    assert.deepEqual([limiter.sharedPolicies().version, limiter.stats().policies.changes], [1, 1])
    assert.equal((await redisCommand(redis.port, 'HGET', 'rl:policies:together', 'version')).toString(), '1')
  })
})

test('a limit on what is under way is no limit of a file', () => {
  const error = thrownBy(() => new ConcurrencyLimiter({ limit: 5, policies: './limits.yaml' }), 'a file')
  assertRefusal(error, { type: TypeError, code: 'ERR_RATE_LIMIT_UNKNOWN_OPTION', says: ['`policies`'] }, 'a file')
})
