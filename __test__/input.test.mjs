/** Every option and every argument that is not accepted, what is said about it, and that nothing else happens. */

import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { inspect } from 'node:util'

import { RateLimiter } from 'distributed-rate-limiter'

import { freePort } from '../scripts/redis.mjs'
import {
  GOOD,
  YEARS_10,
  kind,
  unknown,
  url,
  badKey,
  costRange,
  alone,
  EXPECTED,
  OPTION_ROWS,
  MALFORMED_URLS,
  COMBINATIONS,
  MISSPELT,
  OPTIONS_THAT_ARE_NONE,
  BAD_KEYS,
  BAD_COSTS,
  BAD_CALL_OPTIONS,
  BAD_READY_OPTIONS,
} from './support/bad-input.mjs'
import { assertRefusal, rejectionOf, thrownBy } from './support/refusal.mjs'
import { until } from './support/wait.mjs'

/** A value on one short line. */
const shown = (value) => inspect(value, { maxStringLength: 40, depth: 1 }).replace(/\s+/g, ' ').slice(0, 80)

describe('options', { timeout: 30_000 }, () => {
  for (const { option, value, error, given } of OPTION_ROWS) {
    test(`${option}: ${shown(value)} is a ${error.type.name}`, () => {
      const what = `${option}: ${shown(value)}`
      const refusal = thrownBy(() => new RateLimiter({ ...GOOD, [option]: value }), what)
      assertRefusal(refusal, { ...error, says: [option, EXPECTED[option], ...(given ? [given] : [])] }, what)
    })
  }

  for (const option of ['limit', 'window']) {
    test(`a missing ${option} is a TypeError`, () => {
      const { [option]: left, ...rest } = GOOD
      const refusal = thrownBy(() => new RateLimiter(rest), `no ${option}`)
      assertRefusal(refusal, { ...kind, says: [option, EXPECTED[option]] }, `no ${option} (instead of ${left})`)
    })
  }

  for (const { title, options, error, says } of COMBINATIONS) {
    test(`${title} is a ${error.type.name}`, () => {
      const refusal = thrownBy(() => new RateLimiter({ ...GOOD, ...options }), title)
      assertRefusal(refusal, { ...error, says }, title)
    })
  }

  for (const redisUrl of MALFORMED_URLS) {
    test(`redisUrl: ${shown(redisUrl)} is malformed`, () => {
      const what = `redisUrl: ${shown(redisUrl)}`
      const refusal = thrownBy(() => new RateLimiter({ ...GOOD, redisUrl }), what)
      assertRefusal(refusal, { ...url, says: ['redisUrl', 'redis://'] }, what)
    })
  }

  for (const [written, meant] of MISSPELT) {
    test(`${written} suggests ${meant}`, () => {
      const refusal = thrownBy(() => new RateLimiter({ ...GOOD, [written]: 1 }), written)
      assertRefusal(refusal, { ...unknown, says: [written, new RegExp(`\\b${meant}\\b`)] }, written)
    })
  }

  test('a name that resembles nothing is refused all the same', () => {
    const refusal = thrownBy(() => new RateLimiter({ ...GOOD, xylophone: 1 }), 'xylophone')
    assertRefusal(refusal, { ...unknown, says: ['xylophone'] }, 'xylophone')
  })

  test('an unknown name is refused also when its value is undefined', () => {
    const refusal = thrownBy(() => new RateLimiter({ ...GOOD, windwo: undefined }), 'windwo: undefined')
    assertRefusal(refusal, { ...unknown, says: ['windwo'] }, 'windwo: undefined')
  })

  for (const [title, options] of OPTIONS_THAT_ARE_NONE) {
    test(`${title} instead of options is a TypeError`, () => {
      const refusal = thrownBy(() => new RateLimiter(options), title)
      assertRefusal(refusal, { ...kind, says: ['options', 'object'] }, title)
    })
  }
})

describe('options that are accepted', { timeout: 30_000 }, () => {
  const bucket = { algorithm: 'token-bucket' }
  const accepted = [
    { limit: 1 },
    { limit: 2 ** 32 },
    { window: 0.001 },
    { window: YEARS_10 },
    ...['500ms', '10s', '1m', '1h', '1d', '3650d'].map((window) => ({ window })),
    { resolution: 1 },
    { resolution: 1024 },
    { limit: 2 ** 32, window: '3650d', resolution: 1024 },
    { ...bucket, burst: 1 },
    { ...bucket, limit: 2 ** 32, burst: 2 ** 32, window: '3650d' },
    { ...bucket, limit: 1, window: 0.001, burst: 2 ** 32 },
    { ...bucket, limit: 1, window: '1825d', burst: 2 },
    { prefix: 'p' },
    { prefix: 'p'.repeat(128) },
    { timeout: 1 },
    { timeout: '1m' },
    { maxPending: 1 },
    { maxPending: 1_048_576 },
    { driver: 'loop' },
    { driver: 'thread' },
    ...[false, 1, '500ms', '1m'].map((denyCache) => ({ denyCache })),
    ...[65_536, '64kb', '64mb', '256gb', 2 ** 38].map((maxMemory) => ({ maxMemory })),
    ...['local', 'allow', 'deny', 'throw'].map((onStoreError) => ({ onStoreError })),
    { fallback: {} },
    { fallback: { limit: 5 } },
    { fallback: { window: '10s' } },
    { fallback: { limit: undefined, window: undefined } },
    { logger: console },
    // What `process.env.REDIS_URL` is where nobody set it.
    Object.fromEntries(
      Object.keys(EXPECTED)
        .slice(2)
        .map((option) => [option, undefined]),
    ),
  ]
  for (const options of accepted) {
    test(shown(options), async () => {
      const limiter = new RateLimiter({ ...GOOD, ...options })
      assert.equal(await limiter.isAllowed('somebody'), true, 'the first call is allowed')
      await limiter.close()
    })
  }

  test('an object without a prototype', async () => {
    const limiter = new RateLimiter(Object.assign(Object.create(null), GOOD))
    assert.equal(await limiter.isAllowed('somebody', Object.assign(Object.create(null), { cost: 10 })), true)
    assert.equal(await limiter.isAllowed('somebody'), false, 'the cost was read')
    await limiter.close()
  })

  test('what is done to the options afterwards changes nothing', async () => {
    const options = { ...GOOD, limit: 1 }
    const limiter = new RateLimiter(options)
    options.limit = 100
    assert.equal(await limiter.isAllowed('somebody'), true)
    assert.equal(await limiter.isAllowed('somebody'), false, 'the limit is the one that was given')
    await limiter.close()
  })
})

describe('arguments', { timeout: 30_000 }, () => {
  const limiter = new RateLimiter(GOOD)
  const promised = ['isAllowed', 'check', 'peek']

  /** Each way of making the same bad call, and the refusal it meets. */
  async function refusals(title, args, methods, expected) {
    for (const method of methods) {
      const what = `${method}(${title})`
      assertRefusal(await rejectionOf(() => limiter[method](...args), what), expected, what)
    }
    const what = `isAllowedSync(${title})`
    assertRefusal(
      thrownBy(() => limiter.isAllowedSync(...args), what),
      expected,
      what,
    )
  }

  for (const [title, key] of BAD_KEYS) {
    test(`a key that is ${title}`, () =>
      refusals(title, [key], [...promised, 'reset'], { ...badKey, says: [/\bkey\b/i, 'string'] }))
  }

  test('a key is never asked to describe itself', async () => {
    const hostile = {
      toString() {
        throw new Error('toString was called')
      },
      [Symbol.toPrimitive]() {
        throw new Error('toPrimitive was called')
      },
    }
    await refusals('a hostile object', [hostile], [...promised, 'reset'], badKey)
  })

  for (const [cost, error, given] of BAD_COSTS) {
    test(`a cost of ${shown(cost)}`, () => {
      const says = ['cost', /\b1\b.*\b10\b/, ...(given ? [given] : [])]
      return refusals(`cost: ${shown(cost)}`, ['payer', { cost }], promised, { ...error, says })
    })
  }

  test('the capacity of a token bucket is its burst', async () => {
    const bucket = new RateLimiter({ ...GOOD, algorithm: 'token-bucket', burst: 20 })
    assert.equal(await bucket.isAllowed('payer', { cost: 20 }), true, 'the whole burst at once')
    const refusal = await rejectionOf(() => bucket.isAllowed('payer', { cost: 21 }), 'more than the burst')
    assertRefusal(refusal, { ...costRange, says: ['cost', alone(20), alone(21)] }, 'more than the burst')
    await bucket.close()
  })

  for (const [options, error, says] of BAD_CALL_OPTIONS) {
    test(`call options that are ${shown(options)}`, () =>
      refusals(`options: ${shown(options)}`, ['somebody', options], promised, { ...error, says }))
  }

  test('a getter that throws rejects with what it threw', async () => {
    const thrown = new Error('from the getter')
    const options = {
      get cost() {
        throw thrown
      },
    }
    for (const method of promised) {
      assert.equal(await rejectionOf(() => limiter[method]('somebody', options), method), thrown, method)
    }
    assert.equal(
      thrownBy(() => limiter.isAllowedSync('somebody', options), 'isAllowedSync'),
      thrown,
    )
  })

  test('undefined options and an undefined cost are as good as none', async () => {
    const fresh = new RateLimiter({ limit: 3, window: '1d' })
    assert.equal(await fresh.isAllowed('somebody', undefined), true)
    assert.equal(await fresh.isAllowed('somebody', {}), true)
    assert.equal(await fresh.isAllowed('somebody', { cost: undefined }), true)
    assert.equal(await fresh.isAllowed('somebody'), false, 'each of them cost 1')
    await fresh.close()
  })

  for (const [options, error, says] of BAD_READY_OPTIONS) {
    test(`ready(${shown(options)})`, async () => {
      const what = `ready(${shown(options)})`
      assertRefusal(await rejectionOf(() => limiter.ready(options), what), { ...error, says }, what)
    })
  }

  test('nothing that was refused has been counted', async () => {
    const { allowed, denied } = limiter.stats()
    assert.deepEqual({ allowed, denied }, { allowed: 0, denied: 0 })
    assert.equal((await limiter.check('payer')).remaining, 9, 'a refused cost took nothing')
    assert.equal((await limiter.check('somebody')).remaining, 9, 'a refused call took nothing')
  })

  test('a method called on something else is an error, not a crash', async () => {
    for (const method of [...promised, 'reset', 'ready', 'close']) {
      for (const receiver of [undefined, {}, Object.create(RateLimiter.prototype), 5]) {
        const call = async () => RateLimiter.prototype[method].call(receiver, 'somebody')
        assert.ok((await rejectionOf(call, method)) instanceof TypeError, `${method} on ${shown(receiver)}`)
      }
    }
    for (const method of ['isAllowedSync', 'stats']) {
      for (const receiver of [undefined, {}, Object.create(RateLimiter.prototype), 5]) {
        const refusal = thrownBy(() => RateLimiter.prototype[method].call(receiver, 'somebody'), method)
        assert.ok(refusal instanceof TypeError, `${method} on ${shown(receiver)}`)
      }
    }
  })
})

describe('a password', { timeout: 30_000 }, () => {
  const PASSWORD = 'p1anted-pa55word'

  /** Everything that might be printed of `thing`. */
  const everything = (thing) =>
    [
      thing?.message,
      thing?.stack,
      String(thing),
      JSON.stringify(thing),
      inspect(thing, { showHidden: true, depth: 9 }),
    ].join('\n')

  const assertSilent = (thing, what) =>
    assert.ok(!everything(thing).includes(PASSWORD), `${what} shows the password:\n${everything(thing)}`)

  for (const redisUrl of [
    `redis://user:${PASSWORD}@localhost:port`,
    `redis://:${PASSWORD}@localhost:65536`,
    `redis://user:${PASSWORD}@`,
    `redis://user:${PASSWORD}@local host`,
    `redis://user:${PASSWORD}@localhost/database`,
    `redis://user:x@y:${PASSWORD}@localhost/database`,
    `redis://user:${PASSWORD}/x@localhost`,
    `redis://user:${PASSWORD}`,
    `redis:/user:${PASSWORD}@localhost`,
    `http://user:${PASSWORD}@localhost:6379`,
    `user:${PASSWORD}@localhost`,
    `//:${PASSWORD}@localhost`,
  ]) {
    test(`is not shown when this is refused: ${redisUrl.replace(PASSWORD, '***')}`, () => {
      const refusal = thrownBy(() => new RateLimiter({ ...GOOD, redisUrl }), redisUrl)
      assertRefusal(refusal, { ...url, says: ['redisUrl'] }, redisUrl)
      assertSilent(refusal, 'the error')
    })
  }

  test('is not shown by a good URL beside another option that is refused', () => {
    const redisUrl = `redis://user:${PASSWORD}@localhost:6379`
    assertSilent(
      thrownBy(() => new RateLimiter({ ...GOOD, redisUrl, windwo: 1 }), 'windwo'),
      'the error',
    )
  })

  test('is not shown by a limiter, its events, its errors or its logger', async () => {
    const told = []
    const logger = { warn: (...words) => told.push(words), error: (...words) => told.push(words) }
    const redisUrl = `redis://user:${PASSWORD}@127.0.0.1:${await freePort()}`
    const limiter = new RateLimiter({ ...GOOD, redisUrl, onStoreError: 'throw', logger })
    const events = []
    limiter.on('storeDown', (error) => events.push(error))

    assertSilent(limiter, 'the limiter')
    assertSilent(await rejectionOf(() => limiter.ready({ timeout: 200 }), 'ready()'), 'the rejection of ready()')
    await until(async () => {
      assertSilent(await rejectionOf(() => limiter.isAllowed('somebody'), 'a call'), 'the rejection of a call')
      return events.length > 0 && told.length > 0
    }, 'storeDown was emitted and the logger told')
    for (const error of events) assertSilent(error, 'storeDown')
    for (const words of told) assertSilent(words, 'the logger')
    assertSilent(limiter.stats(), 'stats()')
    await limiter.close()
  })
})
