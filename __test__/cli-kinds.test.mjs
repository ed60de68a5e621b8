/** The command line on what is no window of a length: quotas of the calendar, units that are held, and what is under way at once. */

import assert from 'node:assert/strict'
import { after, before, beforeEach, describe, test } from 'node:test'

import { ConcurrencyLimiter } from 'distributed-rate-limiter'

import { startRedis } from '../scripts/redis.mjs'
import { redisCommand } from '../scripts/resp.mjs'
import { ALGORITHMS, BUCKETS } from './support/algorithms.mjs'
import { limitersOn, told, toldJson } from './support/cli.mjs'

let redis
let env
before(async () => {
  redis = await startRedis()
  env = { REDIS_URL: redis.url }
})
after(() => redis.stop())
beforeEach(() => redisCommand(redis.port, 'FLUSHALL'))

const limiterFor = limitersOn(() => redis)

/** A limit on what is under way at once, on the same server. */
function concurrencyFor(t, limit) {
  const limiter = new ConcurrencyLimiter({ limit, redisUrl: redis.url, timeout: '10s', onStoreError: 'throw' })
  t.after(() => limiter.close())
  return limiter
}

const inspected = async (...args) => (await toldJson(['inspect', ...args], { env })).limits
const said = async (...args) => (await told(args, { env })).stdout
const keys = () => redisCommand(redis.port, 'KEYS', '*')

describe('a quota of the calendar', () => {
  const CALENDARS = [
    { calendar: 'day', timeZone: 'Pacific/Chatham' },
    { calendar: 'month', timeZone: 'America/New_York' },
    { calendar: 'week', timeZone: 'UTC', weekStart: 'sunday' },
  ]
  const optionsOf = ({ calendar, timeZone, weekStart }) => [
    ...['--limit', '20', '--calendar', calendar, '--time-zone', timeZone],
    ...(weekStart === undefined ? [] : ['--week-start', weekStart]),
  ]

  for (const window of CALENDARS) {
    test(`is told as a call would be told: ${JSON.stringify(window)}`, async (t) => {
      const limiter = limiterFor(t, { limit: 20, window })
      await limiter.check('some', { cost: 3 })
      await limiter.check('all', { cost: 20 })
      for (const key of ['some', 'all']) {
        const { allowed, remaining, resetAt, retryAfterMs } = await limiter.peek(key)
        for (const more of [[], ['--algorithm', 'fixed-window'], ['--algorithm', 'calendar']]) {
          const [seen, ...others] = await inspected(key, ...optionsOf(window), ...more)
          assert.equal(others.length, 0)
          assert.deepEqual([seen.algorithm, seen.allowed, seen.remaining], ['calendar', allowed, remaining])
          assert.equal(seen.used, 20 - remaining)
          assert.ok(seen.retryAfterMs <= retryAfterMs && seen.retryAfterMs > retryAfterMs - 60_000)
          assert.ok(seen.fullInMs <= resetAt - Date.now() + 60_000 && seen.fullInMs > 0)
        }
      }
    })
  }

  test('without the numbers what is stored is said, and by which of them it would be exact', async (t) => {
    const limiter = limiterFor(t, { limit: 20, window: CALENDARS[1], denyCache: false })
    await limiter.check('alice', { cost: 4 })
    const [{ algorithm, used, blocked }] = await inspected('alice')
    assert.deepEqual({ algorithm, used, blocked }, { algorithm: 'calendar', used: 4, blocked: false })
    assert.match(await said('inspect', 'alice'), /used +at most 4: with --limit and --calendar it is exact/)
    const name = 'rl:default:calendar:alice'
    const value = await redisCommand(redis.port, 'GETRANGE', name, 0, -1)
    assert.match(await said('top'), /default +calendar +1 +4 +0[\s\S]*alice +default +4 +within/)
    assert.equal(await redisCommand(redis.port, 'GETRANGE', name, 0, -1), value)
    assert.deepEqual(await keys(), [name])
  })

  test('a block and its end leave what was used, and a reset forgets it', async (t) => {
    const limiter = limiterFor(t, { limit: 20, window: CALENDARS[0], denyCache: false })
    await limiter.check('alice', { cost: 4 })
    await said('block', 'alice', '2h')
    assert.equal((await limiter.peek('alice')).allowed, false)
    assert.match(await said('inspect', 'alice'), /blocked +for (1 h 59 min|2 h) more/)
    await said('unblock', 'alice')
    assert.equal((await limiter.peek('alice')).remaining, 16)
    await said('reset', 'alice')
    assert.equal((await limiter.peek('alice')).remaining, 20)
    await said('block', 'bob', '2h', '--limit-name', 'default', '--algorithm', 'calendar')
    assert.equal((await limiter.peek('bob')).allowed, false)
  })

  test('whoever has used nothing has all of it', async () => {
    const text = await said('inspect', 'nobody', ...optionsOf(CALENDARS[0]))
    assert.match(text, /default +calendar\n.*\n +used +0 of 20[\s\S]*stored as +nothing/)
  })
})

describe('units that are held', () => {
  const policies = [
    ...ALGORITHMS.map((algorithm) => ({ algorithm, limit: 20, window: '1h' })),
    { algorithm: 'sliding-window', limit: 20, window: '1h', burst: { extra: 10, window: '1d' } },
    { limit: 20, window: { calendar: 'month' } },
  ]
  for (const policy of policies) {
    test(`count as used: ${JSON.stringify(policy)}`, async (t) => {
      const limiter = limiterFor(t, policy)
      await limiter.check('alice', { cost: 2 })
      const reservation = await limiter.reserve('alice', { cost: 5, ttl: '10m' })
      assert.equal(reservation.allowed, true)
      const [{ used, isForeign, fullInMs, blocked }] = await inspected('alice')
      assert.deepEqual([isForeign, blocked], [undefined, false])
      if (!BUCKETS.includes(policy.algorithm)) assert.equal(used, 7)
      // A hold of ten minutes outlasts what comes back of a bucket.
      else assert.ok(fullInMs > 540_000 && fullInMs <= 1_260_000, String(fullInMs))
      await reservation.settle(1)
      if (!BUCKETS.includes(policy.algorithm)) assert.equal((await inspected('alice'))[0].used, 3)
    })
  }
})

describe('what is under way at once', () => {
  test('is told, with the limit as a call would be told', async (t) => {
    const limiter = concurrencyFor(t, 3)
    const permits = [await limiter.acquire('alice'), await limiter.acquire('alice', { cost: 2 })]
    assert.deepEqual(await keys(), ['rl:default:concurrency:alice'])
    const [{ algorithm, used, blocked }] = await inspected('alice')
    assert.deepEqual({ algorithm, used, blocked }, { algorithm: 'concurrency', used: 3, blocked: false })
    assert.match(await said('inspect', 'alice'), /default +concurrency\n +under way +3\n/)
    assert.match(await said('top'), /default +concurrency +1 +3 +0/)
    const numbers = ['--algorithm', 'concurrency', '--limit', '3']
    assert.match(await said('inspect', 'alice', ...numbers), /a call now +is refused[\s\S]*used +3 of 3/)
    await permits[1].release()
    const [{ allowed, remaining }] = await inspected('alice', ...numbers)
    assert.deepEqual({ allowed, remaining }, { allowed: true, remaining: 2 })
  })

  test('a key that is reset has lost its permits', async (t) => {
    const limiter = concurrencyFor(t, 1)
    await limiter.acquire('alice')
    assert.equal(await said('reset', 'alice'), 'Forgot alice: default.\n')
    assert.equal((await limiter.acquire('alice')).acquired, true)
    await said('block', 'alice', '1h')
    assert.equal((await limiter.peek('alice')).allowed, false)
    await said('unblock', 'alice')
    assert.equal((await limiter.peek('alice')).remaining, 0)
  })
})

describe('numbers of another kind', () => {
  test('of limits under one name those are asked of which they are', async (t) => {
    await limiterFor(t, { limit: 9, window: '1h' }).check('alice')
    await limiterFor(t, { limit: 9, window: { calendar: 'day' } }).check('alice', { cost: 2 })
    await concurrencyFor(t, 9).acquire('alice', { cost: 3 })
    assert.equal((await inspected('alice')).length, 3)
    const left = async (...args) => (await inspected('alice', '--limit', '9', ...args)).map((seen) => seen.remaining)
    assert.deepEqual(await left('--window', '1h'), [8])
    assert.deepEqual(await left('--calendar', 'day'), [7])
    assert.deepEqual(await left('--algorithm', 'concurrency'), [6])
  })

  for (const [args, says] of [
    [['--limit', '9', '--window', '1h'], /alice is counted: that is calendar, with --limit and --calendar/],
    [['--limit', '9', '--calendar', 'day', '--window', '1h'], /stands in place of a --window/],
    [['--limit', '9', '--time-zone', 'UTC'], /of a --calendar: give that too/],
    [['--limit', '9', '--calendar', 'year'], /--calendar must be one of 'day', 'week', 'month'.*'year'/],
    [['--limit', '9', '--calendar', 'day', '--time-zone', 'Mars/Olympus'], /--time-zone must be .*'Mars\/Olympus'/],
    [['--limit', '9', '--calendar', 'day', '--week-start', 'sunday'], /--week-start is for/],
    [['--limit', '9', '--calendar', 'day', '--algorithm', 'token-bucket'], /fixed-window/],
    [['--limit', '9', '--window', '1h', '--algorithm', 'concurrency'], /has a --limit and nothing else/],
    [['--algorithm', 'fixed'], /--algorithm must be one of .*calendar, concurrency, but 'fixed'/],
    [['--calendar', 'day'], /at least --limit and --window/],
  ]) {
    test(`are refused: ${args.join(' ')}`, async (t) => {
      await limiterFor(t, { limit: 9, window: { calendar: 'day' } }).check('alice')
      const { code, stderr } = await told(['inspect', 'alice', ...args], { env })
      assert.equal(code, 2, stderr)
      assert.match(stderr, says)
    })
  }
})
