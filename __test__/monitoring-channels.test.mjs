/** What node:diagnostics_channel tells of limiters: denials, states, and calls that are asked of the store. */

import assert from 'node:assert/strict'
import { channel, subscribe, unsubscribe } from 'node:diagnostics_channel'
import { once } from 'node:events'
import { describe, test } from 'node:test'

import { DistributedRateLimiter, RateLimiter } from 'distributed-rate-limiter'

import { startRedis } from '../scripts/redis.mjs'
import { assertEnded, program, run } from './support/child.mjs'
import { settles } from './support/wait.mjs'

const DENIED = 'distributed-rate-limiter:denied'
const STATE = 'distributed-rate-limiter:state'
const STORE = 'distributed-rate-limiter:store'

/** All messages of a channel, while the test runs. */
function hear(t, name) {
  const heard = []
  const listener = (message) => heard.push(message)
  subscribe(name, listener)
  t.after(() => unsubscribe(name, listener))
  return heard
}

function make(t, options) {
  const limiter = new RateLimiter({ limit: 1, window: '1h', ...options })
  t.after(() => limiter.close())
  return limiter
}

async function redisOf(t) {
  const redis = await startRedis()
  t.after(() => redis.stop())
  return redis
}

describe('denied', { timeout: 30_000 }, () => {
  test('each denial, with its decision, whichever method was told of it', async (t) => {
    const limiter = make(t)
    const heard = hear(t, DENIED)
    assert.equal(await limiter.isAllowed('a'), true)
    assert.deepEqual(heard, [])

    const decision = await limiter.check('a')
    assert.equal(await limiter.isAllowed('a'), false)
    assert.equal((await limiter.checkRequest('a')).allowRequest, false)
    const acquired = await limiter.acquire('a', { maxWait: 10 })
    assert.equal(acquired.allowed, false)
    assert.equal(heard.length, 4)
    for (const message of heard) {
      assert.deepEqual(Object.keys(message), ['limiter', 'key', 'decision'])
      assert.equal(message.limiter, limiter)
      assert.equal(message.key, 'a')
      assert.equal(message.decision.allowed, false)
      assert.equal(message.decision.source, 'memory')
      assert.ok(message.decision.retryAfterMs > 0)
    }
    assert.equal(heard[0].decision, decision)
    assert.equal(heard[3].decision, acquired)
  })

  test('isAllowedSync has no decision to tell', (t) => {
    const limiter = make(t)
    const heard = hear(t, DENIED)
    assert.equal(limiter.isAllowedSync('a'), true)
    assert.equal(limiter.isAllowedSync('a'), false)
    assert.deepEqual(heard, [{ limiter, key: 'a', decision: undefined }])
  })

  test('what changes nothing, or is no call, is no denial', async (t) => {
    const limiter = make(t)
    const heard = hear(t, DENIED)
    await limiter.isAllowed('a')
    assert.equal((await limiter.peek('a')).allowed, false)
    assert.equal((await limiter.penalty('a')).allowed, false)
    assert.equal((await limiter.refund('a', 1)).allowed, false)
    assert.deepEqual(heard, [])
  })

  test('whoever subscribes changes no answer, no count and no error', async (t) => {
    const answers = async () => {
      const limiter = make(t, { limit: 3 })
      const of = (call) => call.catch(({ code }) => code)
      return [
        await of(limiter.isAllowed('a', { cost: 2 })),
        await of(limiter.isAllowed('a', { cost: 2 })),
        await of(limiter.isAllowed('a', { upTo: 3 })),
        await of(limiter.isAllowed('')),
        await of(limiter.isAllowed('a', { cost: 4 })),
        limiter.stats().allowed,
        limiter.stats().denied,
      ]
    }
    const alone = await answers()
    hear(t, DENIED)
    hear(t, STORE)
    assert.deepEqual(await answers(), alone)
    assert.deepEqual(alone, [true, false, true, 'ERR_RATE_LIMIT_KEY', 'ERR_RATE_LIMIT_COST', 2, 1])
  })

  test('of a class that extends it, and of the one with other names', async (t) => {
    class PerUser extends RateLimiter {
      check(user) {
        return super.check(`user:${user}`)
      }
      isAllowed(user) {
        return super.isAllowed(`user:${user}`)
      }
    }
    const perUser = new PerUser({ limit: 1, window: '1h' })
    const other = new DistributedRateLimiter()
    t.after(() => Promise.all([perUser.close(), other.close()]))
    const heard = hear(t, DENIED)
    await perUser.isAllowed('a')
    await perUser.isAllowed('a')
    await other.isAllowed('b', 'post', 1, 60)
    await other.isAllowed('b', 'post', 1, 60)
    assert.deepEqual(
      heard.map(({ limiter, key }) => [limiter, key]),
      [
        [perUser, 'user:a'],
        [other, 'b'],
      ],
    )
  })

  test('what Redis refuses, and what is known to be refused', async (t) => {
    const redis = await redisOf(t)
    const limiter = make(t, { redisUrl: redis.url })
    await limiter.ready()
    const heard = hear(t, DENIED)
    for (let call = 0; call < 3; call += 1) await limiter.isAllowed('a')
    assert.deepEqual(
      heard.map(({ decision }) => decision.source),
      ['redis', 'deny-cache'],
    )
  })
})

describe('state', { timeout: 30_000 }, () => {
  test('up, down, up, closed', async (t) => {
    const redis = await redisOf(t)
    const heard = hear(t, STATE)
    const limiter = make(t, { redisUrl: redis.url })
    const next = (event) => settles(once(limiter, event), event)
    await next('storeUp')
    await Promise.all([next('storeDown'), redis.kill()])
    await Promise.all([next('storeUp'), redis.start()])
    const closed = next('close')
    await limiter.close()
    await closed
    assert.deepEqual(
      heard.map(({ state }) => state),
      ['up', 'down', 'up', 'closed'],
    )
    for (const { limiter: whose, state, error } of heard) {
      assert.equal(whose, limiter)
      assert.equal(error instanceof Error, state === 'down')
    }
  })

  test('closed is told once, as an event too, when everything has settled', async (t) => {
    const heard = hear(t, STATE)
    const limiter = new RateLimiter({ limit: 1, window: '1h' })
    const events = []
    limiter.on('close', (...told) => events.push(told))
    await Promise.all([limiter.close(), limiter.close()])
    await new Promise(setImmediate)
    assert.deepEqual(events, [[]])
    assert.deepEqual(heard, [{ limiter, state: 'closed', error: undefined }])
  })
})

describe('store', { timeout: 90_000 }, () => {
  test('calls that are asked of it, and no others', async (t) => {
    const redis = await redisOf(t)
    const limiter = make(t, { redisUrl: redis.url, limit: 2 })
    await limiter.ready()
    const heard = hear(t, STORE)
    const answers = [await limiter.isAllowed('a'), (await limiter.check('a')).allowed]
    answers.push(await limiter.isAllowed('a'))
    answers.push((await limiter.check('a')).source)
    assert.deepEqual(answers, [true, true, false, 'deny-cache'])
    await limiter.refund('a')
    await limiter.penalty('a')
    await limiter.peek('b')
    await limiter.block('b', '1h')
    await limiter.unblock('b')
    await limiter.reset('b')
    await limiter.acquire('c')
    await limiter.ready()
    const calls = heard.map(({ call, key }) => `${call} ${key}`)
    assert.deepEqual(calls, [
      'isAllowed a',
      'check a',
      'isAllowed a',
      'refund a',
      'penalty a',
      'peek b',
      'block b',
      'unblock b',
      'reset b',
      'acquire c',
    ])
    assert.deepEqual(await heard[0].answer, true)
    assert.deepEqual((await heard[1].answer).source, 'redis')
    for (const message of heard) assert.equal(message.limiter, limiter)
  })

  test('a limiter in memory asks nobody', async (t) => {
    const limiter = make(t)
    const heard = hear(t, STORE)
    await limiter.isAllowed('a')
    await limiter.check('a')
    await limiter.peek('a')
    await limiter.reset('a')
    assert.deepEqual(heard, [])
  })

  test('a rejection that nobody handles is still reported, although a subscriber has waited for it', async () => {
    const end = await run(program('unhandled-store-error.mjs'), { within: 60_000 })
    assertEnded(end, 'the program')
    assert.equal(end.stdout, 'ERR_RATE_LIMIT_STORE_UNAVAILABLE\n')
  })
})

test('nothing is sent where nobody listens', { timeout: 30_000 }, async (t) => {
  const limiter = make(t)
  for (const name of [DENIED, STATE, STORE]) {
    assert.equal(channel(name).hasSubscribers, false)
    t.mock.method(channel(name), 'publish', () => assert.fail('it was sent'))
  }
  await limiter.isAllowed('a')
  assert.equal(await limiter.isAllowed('a'), false)
  assert.equal((await limiter.check('a')).allowed, false)
  await limiter.close()
  await new Promise(setImmediate)
})
