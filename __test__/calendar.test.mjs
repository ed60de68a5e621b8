/** Quotas that start anew at local midnight, as an application has them: in memory, on Redis, and what is not accepted. */

import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'

import { RateLimiter } from '../index.mjs'
import { startRedis } from '../scripts/redis.mjs'
import { redisCommand } from '../scripts/resp.mjs'

const ZONES = ['UTC', 'Europe/Paris', 'America/New_York', 'Asia/Kathmandu', 'Pacific/Chatham']

/** What clocks and calendars show at a moment in a zone, from Node's own data. */
function shown(ms, timeZone) {
  const format = new Intl.DateTimeFormat('en-GB', {
    timeZone,
    dateStyle: 'full',
    timeStyle: 'medium',
    hourCycle: 'h23',
  })
  return format.format(ms)
}

describe('windows of the calendar', { timeout: 60_000 }, () => {
  let redis
  const limiters = []
  before(async () => {
    redis = await startRedis()
  })
  after(async () => {
    await Promise.all(limiters.map((limiter) => limiter.close()))
    await redis.stop()
  })

  function make(options) {
    const limiter = new RateLimiter(options)
    limiters.push(limiter)
    return limiter
  }

  for (const store of ['memory', 'redis']) {
    const at = () =>
      store === 'redis' ? { redisUrl: redis.url, onStoreError: 'throw', timeout: '10s', denyCache: false } : {}

    it(`end at midnight of each zone, in ${store}`, async () => {
      for (const timeZone of ZONES) {
        const limiter = make({ ...at(), prefix: timeZone, limit: 2, window: { calendar: 'day', timeZone } })
        assert.equal((await limiter.check('a', { cost: 2 })).remaining, 0)
        const { allowed, resetAt, retryAfterMs } = await limiter.check('a')
        assert.equal(allowed, false)
        assert.match(shown(resetAt, timeZone), / 00:00:00$/)
        assert.doesNotMatch(shown(resetAt - 1, timeZone), / 00:00:00$/)
        assert.ok(retryAfterMs > 0 && retryAfterMs <= 25 * 3_600_000)
      }
    })

    it(`end with the week and the month, in ${store}`, async () => {
      for (const [window, shows] of [
        [{ calendar: 'week' }, /^Monday.* 00:00:00$/],
        [{ calendar: 'week', weekStart: 'sunday' }, /^Sunday.* 00:00:00$/],
        [{ calendar: 'month' }, /\b1 [A-Z].* 00:00:00$/],
      ]) {
        const timeZone = 'Europe/Paris'
        const limiter = make({ ...at(), prefix: JSON.stringify(window), limit: 1, window: { ...window, timeZone } })
        const { resetAt } = await limiter.check('a')
        assert.match(shown(resetAt, timeZone), shows)
      }
    })

    it(`are for several limits, actions, keys and calls, in ${store}`, async () => {
      const day = { calendar: 'day', timeZone: 'Asia/Tokyo' }
      const limiter = make({
        ...at(),
        prefix: 'all',
        limit: 10,
        window: day,
        actions: { burst: { limit: 1, window: '1m', algorithm: 'sliding-window' } },
      })
      limiter.configure('b', { limit: 3, window: { calendar: 'month', timeZone: 'Asia/Tokyo' } })
      assert.equal((await limiter.check('a')).remaining, 9)
      assert.equal((await limiter.check('b')).remaining, 2)
      assert.equal((await limiter.check('c', { limit: 5, window: day })).remaining, 4)
      assert.equal((await limiter.check('a', { action: 'burst' })).remaining, 0)
      const several = make({
        ...at(),
        prefix: 'several',
        limits: [
          { name: 'second', limit: 5, window: '1h', by: 'user' },
          { name: 'day', limit: 3, window: day, by: 'user' },
        ],
        newKeys: { limit: 1, window: { calendar: 'week' }, by: 'ip' },
      })
      assert.equal((await several.check({ user: 'a', ip: '::1' }, { cost: 3 })).allowed, true)
      assert.equal((await several.check({ user: 'a', ip: '::1' })).allowed, false)
      assert.equal((await several.check({ user: 'b', ip: '::1' })).allowed, false)
    })
  }

  it('are told back', () => {
    const told = (window) => make({ limit: 5, window }).policies()[0]
    const { windowMs, ...policy } = told({ calendar: 'week', timeZone: 'utc', weekStart: 'sunday' })
    assert.equal(windowMs, 7 * 86_400_000)
    const window = { calendar: 'week', timeZone: 'UTC', weekStart: 'sunday' }
    assert.deepEqual(policy, { name: 'default', algorithm: 'fixed-window', limit: 5, window })
    assert.deepEqual(told({ calendar: 'month' }).window, { calendar: 'month', timeZone: 'UTC' })
  })

  const day = { calendar: 'day' }
  for (const [title, options, name, code, says] of [
    [
      'an unknown zone',
      { window: { ...day, timeZone: 'Mars/Olympus' } },
      'RangeError',
      'OPTION',
      /timeZone.*'Europe\/Paris'.*'Mars\/Olympus'/,
    ],
    ['a zone of no name', { window: { ...day, timeZone: 2 } }, 'TypeError', 'OPTION', /window\.timeZone.*2 was given/],
    [
      'an unknown calendar',
      { window: { calendar: 'year' } },
      'RangeError',
      'OPTION',
      /window\.calendar.*'month'.*'year'/,
    ],
    ['a misspelt field', { window: { ...day, timezone: 'UTC' } }, 'TypeError', 'UNKNOWN_OPTION', /window.*timeZone/],
    ['no calendar', { window: { timeZone: 'UTC' } }, 'TypeError', 'OPTION', /window.*\{ calendar: 'day'/],
    [
      'another algorithm',
      { window: day, algorithm: 'sliding-window' },
      'TypeError',
      'OPTION',
      /calendar.*fixed-window/,
    ],
    ['align', { window: day, align: true }, 'TypeError', 'OPTION', /calendar.*align/],
    ['a burst', { window: day, burst: { extra: 1, window: '1s' } }, 'TypeError', 'OPTION', /calendar.*burst/],
  ]) {
    it(`refuse ${title}`, () => {
      assert.throws(() => new RateLimiter({ limit: 5, ...options }), {
        name,
        code: `ERR_RATE_LIMIT_${code}`,
        message: says,
      })
    })
  }

  it('have keys in Redis that may be damaged, which is the error of one key alone', async () => {
    const limiter = make({ limit: 5, window: day, redisUrl: redis.url, prefix: 'damaged', onStoreError: 'throw' })
    await limiter.check('bad')
    const [name] = await redisCommand(redis.port, 'KEYS', 'damaged:*')
    for (const damage of ['short', '\u0009'.repeat(20)]) {
      await redisCommand(redis.port, 'SET', name, damage)
      const [bad, good] = await Promise.allSettled([limiter.check('bad'), limiter.check(`beside ${damage.length}`)])
      assert.equal(bad.reason?.code, 'ERR_RATE_LIMIT_STATE', JSON.stringify(damage))
      assert.equal(good.value?.remaining, 4)
    }
  })

  it('are not mixed with lengths on one key', async () => {
    const [calendar, length] = [make({ limit: 5, window: day }), make({ limit: 5, window: '1d' })]
    const code = 'ERR_RATE_LIMIT_OPTION'
    assert.throws(() => calendar.configure('a', { limit: 5, window: '1d' }), { code })
    assert.throws(() => length.configure('a', { limit: 5, window: day }), { code })
    await assert.rejects(calendar.check('a', { limit: 5, window: 1_000 }), { code })
    const either = make({ limit: 'configured' })
    either.configure('a', { limit: 5, window: day })
    either.configure('b', { limit: 5, window: '1d' })
    assert.equal((await either.check('a')).remaining, 4)
    assert.equal((await either.check('b')).remaining, 4)
  })
})
