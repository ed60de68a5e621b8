/** The limiter on Redis: the same face, what it leaves in Redis, and what it does with what others left there. */

import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'

import { RateLimiter } from 'distributed-rate-limiter'

import { startRedis } from '../scripts/redis.mjs'
import { redisCommand } from '../scripts/resp.mjs'
import { assertDecision } from './support/decision.mjs'
import { allowedOf, describeFace } from './support/face.mjs'
import { race } from './support/race.mjs'
import { assertRefusal, rejectionOf, thrownBy } from './support/refusal.mjs'
import { until } from './support/wait.mjs'

const DAY = 86_400_000
const ALGORITHMS = ['sliding-window', 'token-bucket']

/** A reply takes a moment; a key's expiry is rounded up to the millisecond. */
const A_FEW_MS = 5

let redis
before(async () => {
  redis = await startRedis()
})
after(() => redis.stop())

let made = 0
/** A limiter that shares its counts with no other, that asks Redis whatever it takes, and tells of every failure. */
function limiterOn(options) {
  made += 1
  return new RateLimiter({
    redisUrl: redis.url,
    prefix: `test-${made}`,
    timeout: '10s',
    onStoreError: 'throw',
    denyCache: false,
    ...options,
  })
}

const command = (...args) => redisCommand(redis.port, ...args)

describeFace('redis', limiterOn)

describe('what is in Redis', { timeout: 60_000 }, () => {
  for (const algorithm of ALGORITHMS) {
    test(`${algorithm}: keys are prefix:default:algorithm:key`, async (t) => {
      const limiter = limiterOn({ limit: 5, window: '1d', algorithm, prefix: `names-${algorithm}` })
      t.after(() => limiter.close())
      await Promise.all(['user:1', 'user 2', 'π'].map((key) => limiter.isAllowed(key)))
      const names = await command('KEYS', `names-${algorithm}:*`)
      assert.deepEqual(
        names.sort(),
        ['user 2', 'user:1', 'π'].map((key) => `names-${algorithm}:default:${algorithm}:${key}`),
      )
    })
  }

  test('the prefix is rl where none is given', async (t) => {
    const limiter = limiterOn({ limit: 5, window: '1d', prefix: undefined })
    t.after(() => limiter.close())
    await limiter.isAllowed('somebody')
    assert.equal(await command('EXISTS', 'rl:default:sliding-window:somebody'), 1)
  })

  test("a caller's braces choose no cluster slot", async (t) => {
    const limiter = limiterOn({ limit: 5, window: '1d', prefix: 'braces' })
    t.after(() => limiter.close())
    await limiter.isAllowed('{same}:1')
    const [name] = await command('KEYS', 'braces:*')
    assert.ok(!/\{.+\}/.test(name), `${name} has a hash tag that the caller chose`)
  })

  // How long a key may live: until all that was spent is back, plus a slot where slots are counted.
  const lifetimes = [
    { options: { limit: 5, window: '1h' }, longest: 3_600_000 },
    { options: { limit: 1_000, window: '1h', resolution: 10 }, longest: 3_600_000 + 360_000 },
    { options: { limit: 1_000, window: '1h', resolution: 1 }, longest: 2 * 3_600_000 },
    { options: { limit: 5, window: 0.001 }, longest: 1 },
    { options: { limit: 5, window: '3650d' }, longest: 3_650 * DAY },
    { options: { limit: 6, window: '1h', algorithm: 'token-bucket' }, longest: 3_600_000 },
    { options: { limit: 6, window: '1h', algorithm: 'token-bucket', burst: 60 }, longest: 36_000_000 },
  ]
  for (const { options, longest } of lifetimes) {
    test(`every key expires: ${JSON.stringify(options)}`, async (t) => {
      const prefix = `ttl-${made}`
      const limiter = limiterOn({ ...options, prefix })
      t.after(() => limiter.close())
      const capacity = options.burst ?? options.limit
      const bounded = async (when) => {
        for (const name of await command('KEYS', `${prefix}:*`)) {
          const ttl = await command('PTTL', name)
          // -2: it has expired since it was listed. -1 would be a key that stays for ever.
          assert.ok(ttl === -2 || ttl >= 0, `${name} ${when}: it never expires`)
          // An eighth of a window to spare: see lua/expiry.lua.
          const bound = longest * 1.125 + A_FEW_MS
          assert.ok(ttl <= bound, `${name} ${when}: lives ${ttl} ms, longer than ${bound}`)
        }
      }
      await limiter.isAllowed('once')
      await limiter.isAllowed('emptied', { cost: capacity })
      await bounded('after the first call')
      await limiter.isAllowed('once')
      await limiter.isAllowed('emptied')
      await limiter.peek('emptied')
      await limiter.peek('never called')
      await bounded('after a denial and a peek')
    })
  }

  test('a key lives as long as it is needed', async (t) => {
    const limiter = limiterOn({ limit: 5, window: '1h', prefix: 'lives' })
    t.after(() => limiter.close())
    await limiter.isAllowed('somebody')
    const ttl = await command('PTTL', 'lives:default:sliding-window:somebody')
    assert.ok(ttl > 3_500_000, `a unit comes back in an hour, and its key is gone in ${ttl} ms`)
  })

  test('peek and a denial create no key', async (t) => {
    const limiter = limiterOn({ limit: 5, window: '1d', prefix: 'quiet' })
    t.after(() => limiter.close())
    await limiter.peek('somebody')
    assert.deepEqual(await command('KEYS', 'quiet:*'), [])
  })

  for (const algorithm of ALGORITHMS) {
    test(`${algorithm}: reset removes the key`, async (t) => {
      const limiter = limiterOn({ limit: 5, window: '1d', algorithm, prefix: 'removed' })
      t.after(() => limiter.close())
      await limiter.isAllowed('somebody')
      assert.equal(await command('EXISTS', `removed:default:${algorithm}:somebody`), 1, 'it was there')
      await limiter.reset('somebody')
      assert.equal(await command('EXISTS', `removed:default:${algorithm}:somebody`), 0, 'it is gone')
    })
  }

  test('the database is the one that the URL names', async (t) => {
    const limiter = limiterOn({ limit: 5, window: '1d', prefix: 'third', redisUrl: `${redis.url}/3` })
    t.after(() => limiter.close())
    await limiter.isAllowed('somebody')
    assert.deepEqual(await command('KEYS', 'third:*'), [], 'nothing in database 0')
    assert.match(await command('INFO', 'keyspace'), /db3:keys=1,/)
  })
})

describe('sharing', { timeout: 90_000 }, () => {
  for (const algorithm of ALGORITHMS) {
    test(`${algorithm}: two limiters of one process share a count exactly`, async (t) => {
      const options = { limit: 100, window: '1d', algorithm, prefix: 'shared' }
      const [one, other] = [limiterOn(options), limiterOn(options)]
      t.after(() => Promise.all([one.close(), other.close()]))
      const allowed = await Promise.all([allowedOf(one, 'a', 300), allowedOf(other, 'a', 300)])
      assert.equal(allowed[0] + allowed[1], 100, `${allowed.join(' + ')} were allowed`)
    })

    test(`${algorithm}: two processes share a count exactly`, async () => {
      const outcome = await race({
        options: { limit: 100, window: '1d', algorithm, prefix: 'processes', redisUrl: redis.url },
        key: 'a',
        processes: 2,
        calls: 300,
      })
      assert.deepEqual(outcome, { allowed: 100, denied: 500, sources: ['redis'] })
    })
  }

  test('another prefix is another count', async (t) => {
    const [one, other] = [limiterOn({ limit: 2, window: '1d' }), limiterOn({ limit: 2, window: '1d' })]
    t.after(() => Promise.all([one.close(), other.close()]))
    assert.equal(await allowedOf(one, 'a', 5), 2)
    assert.equal(await allowedOf(other, 'a', 5), 2)
  })

  test('a limit that was changed goes on with what is counted', async (t) => {
    const [narrow, wide] = [2, 5].map((limit) => limiterOn({ limit, window: '1d', prefix: 'changed' }))
    t.after(() => Promise.all([narrow.close(), wide.close()]))
    assert.equal(await allowedOf(narrow, 'a', 5), 2)
    assert.equal(await allowedOf(wide, 'a', 10), 3, 'two of the five were spent before')
    assertDecision(await narrow.check('a'), { allowed: false, remaining: 0 })
  })

  test('calls of one moment travel together', async (t) => {
    const limiter = limiterOn({ limit: 10, window: '1d' })
    t.after(() => limiter.close())
    await Promise.all(Array.from({ length: 1_000 }, (_, index) => limiter.isAllowed(`key-${index}`)))
    const { batches, batchedCalls } = limiter.stats()
    assert.equal(batchedCalls, 1_000)
    assert.ok(batches >= 1 && batches <= 250, `1,000 calls travelled in ${batches} batches`)
  })
})

describe('a limiter on Redis', { timeout: 60_000 }, () => {
  test('is ready when Redis answers, and says so once', async (t) => {
    const limiter = limiterOn({ limit: 2, window: '1d' })
    t.after(() => limiter.close())
    let ups = 0
    limiter.on('storeUp', () => (ups += 1))
    limiter.on('storeDown', (error) => assert.fail(`storeDown: ${error}`))
    assert.equal(await limiter.ready(), undefined)
    assert.equal(await limiter.ready(), undefined, 'again, at once')
    assert.equal(await limiter.isAllowed('a'), true)
    await until(() => ups > 0, 'storeUp was emitted')
    assert.equal(ups, 1)
    assert.equal(limiter.stats().store, 'up')
  })

  test('nobody has to wait until it is ready', async (t) => {
    const limiter = limiterOn({ limit: 2, window: '1d' })
    t.after(() => limiter.close())
    assert.equal(await allowedOf(limiter, 'a', 5), 2)
  })

  test('cannot answer at once', async (t) => {
    const limiter = limiterOn({ limit: 2, window: '1d' })
    t.after(() => limiter.close())
    for (const when of ['before Redis answered', 'after Redis answered']) {
      const refusal = thrownBy(() => limiter.isAllowedSync('a'), `isAllowedSync ${when}`)
      assertRefusal(refusal, { type: Error, code: 'ERR_RATE_LIMIT_NOT_LOCAL' }, when)
      await limiter.ready()
    }
    assert.equal(await allowedOf(limiter, 'a', 5), 2, 'nothing was taken')
  })

  test('SCRIPT FLUSH is not noticed', async (t) => {
    const limiter = limiterOn({ limit: 3, window: '1d' })
    t.after(() => limiter.close())
    for (const remaining of [2, 1, 0]) {
      assertDecision(await limiter.check('a'), { allowed: true, remaining, source: 'redis' })
      await command('SCRIPT', 'FLUSH')
    }
    assertDecision(await limiter.check('a'), { allowed: false, source: 'redis' })
    assert.equal(limiter.stats().storeErrors, 0)
  })

  test('FLUSHALL forgets, and the limit holds anew', async (t) => {
    const limiter = limiterOn({ limit: 2, window: '1d' })
    t.after(() => limiter.close())
    assert.equal(await allowedOf(limiter, 'a', 5), 2)
    await command('FLUSHALL')
    assert.equal(await allowedOf(limiter, 'a', 5), 2)
  })

  test('a user and a password of the URL are used, and a wrong password is not shown', async (t) => {
    const password = 'p1anted-pa55word'
    await command('ACL', 'SETUSER', 'guest', 'on', `>${password}`, '~*', '+@all')
    t.after(() => command('ACL', 'DELUSER', 'guest'))
    const as = (secret) => `redis://guest:${secret}@127.0.0.1:${redis.port}`

    const welcome = limiterOn({ limit: 2, window: '1d', redisUrl: as(password) })
    assertDecision(await welcome.check('a'), { allowed: true, source: 'redis' })
    await welcome.close()

    const stranger = limiterOn({ limit: 2, window: '1d', redisUrl: as(`${password}-not`), timeout: 200 })
    const refusal = await rejectionOf(() => stranger.ready({ timeout: 500 }), 'ready() with a wrong password')
    assertRefusal(refusal, { type: Error, code: 'ERR_RATE_LIMIT_STORE_UNAVAILABLE' }, 'a wrong password')
    assert.ok(!`${refusal.stack}`.includes(password), `the password is shown: ${refusal.stack}`)
    await stranger.close()
  })

  test('a password may have any character', async (t) => {
    const password = 'a:b/c@d%e?f#g h'
    await command('ACL', 'SETUSER', 'odd', 'on', `>${password}`, '~*', '+@all')
    t.after(() => command('ACL', 'DELUSER', 'odd'))
    const redisUrl = `redis://odd:${encodeURIComponent(password)}@127.0.0.1:${redis.port}`
    const limiter = limiterOn({ limit: 2, window: '1d', redisUrl })
    t.after(() => limiter.close())
    assertDecision(await limiter.check('a'), { allowed: true, source: 'redis' })
  })
})

describe('what others left under our keys', { timeout: 60_000 }, () => {
  const strangers = {
    text: (key) => command('SET', key, 'garbage'),
    number: (key) => command('SET', key, '42'),
    json: (key) => command('SET', key, '{"count":3,"since":1700000000000}'),
    bytes: (key) => command('SET', key, Buffer.from([0xff, 0x00, 0xfe, 0x80, 0x0a])),
    long: (key) => command('SET', key, 'x'.repeat(100_000)),
    list: (key) => command('LPUSH', key, 'garbage'),
    hash: (key) => command('HSET', key, 'field', 'garbage'),
  }
  const titles = Object.keys(strangers)

  for (const algorithm of ALGORITHMS) {
    /** Plants every stranger under its own key of a limiter with `prefix`. */
    const plant = (prefix) =>
      Promise.all(titles.map((title) => strangers[title](`${prefix}:default:${algorithm}:${title}`)))

    test(`${algorithm}: each is its key's problem alone`, async (t) => {
      const limiter = limiterOn({ limit: 1, window: '1d', algorithm, prefix: 'foreign' })
      t.after(() => limiter.close())
      limiter.on('storeDown', (error) => assert.fail(`storeDown: ${error}`))
      await plant('foreign')
      await limiter.ready()
      // Between any two bad keys travels a good one, twice: it is allowed once, or something of the batch was lost.
      const calls = Array.from({ length: 50 }, (_, round) =>
        titles.flatMap((title) => [title, `good-${round}-${title}`, `good-${round}-${title}`]),
      ).flat()
      const outcomes = await Promise.allSettled(calls.map((key) => limiter.isAllowed(key)))
      const allowed = new Map()
      for (const [index, { status, value, reason }] of outcomes.entries()) {
        const key = calls[index]
        if (titles.includes(key)) {
          assert.equal(status, 'rejected', `"${key}" holds nothing of ours and was answered`)
          assertRefusal(reason, { type: Error, code: 'ERR_RATE_LIMIT_STATE' }, key)
        } else {
          assert.equal(status, 'fulfilled', `"${key}" suffered from another key: ${reason}`)
          allowed.set(key, (allowed.get(key) ?? 0) + Number(value))
        }
      }
      for (const [key, times] of allowed) assert.equal(times, 1, `${key} was allowed ${times} times of a limit of 1`)
      assert.equal(limiter.stats().store, 'up', 'Redis itself is well')
      assert.equal(limiter.stats().circuitOpened, 0, 'a bad value opens no circuit')
    })

    test(`${algorithm}: decided in this process where that is wished`, async (t) => {
      const fallback = { limit: 2, window: '1d' }
      const limiter = limiterOn({
        limit: 5,
        window: '1d',
        algorithm,
        prefix: 'locally',
        onStoreError: 'local',
        fallback,
      })
      t.after(() => limiter.close())
      await plant('locally')
      for (const title of titles) {
        assertDecision(await limiter.check(title), { allowed: true, limit: 2, remaining: 1, source: 'fallback' })
        assertDecision(await limiter.check(title), { allowed: true, limit: 2, remaining: 0, source: 'fallback' })
        assertDecision(await limiter.check(title), { allowed: false, limit: 2, source: 'fallback' })
        assertDecision(await limiter.check(`not ${title}`), { allowed: true, limit: 5, remaining: 4, source: 'redis' })
      }
      assert.equal(limiter.stats().storeErrors, 3 * titles.length)
    })

    test(`${algorithm}: nothing of theirs is written over, and reset makes room`, async (t) => {
      const limiter = limiterOn({ limit: 5, window: '1d', algorithm, prefix: 'kept' })
      t.after(() => limiter.close())
      await plant('kept')
      const name = (title) => `kept:default:${algorithm}:${title}`
      for (const title of titles) await rejectionOf(() => limiter.isAllowed(title), title)
      assert.equal(await command('GET', name('text')), 'garbage')
      assert.equal(await command('GET', name('number')), '42')
      assert.equal(await command('TYPE', name('list')), 'list')
      assert.equal(await command('TYPE', name('hash')), 'hash')
      for (const title of titles) {
        await limiter.reset(title)
        assertDecision(await limiter.check(title), { allowed: true, remaining: 4, source: 'redis' })
      }
    })

    test(`${algorithm}: our own value, cut short, is no value of ours`, async (t) => {
      const limiter = limiterOn({ limit: 5, window: '1d', algorithm, prefix: 'damaged' })
      t.after(() => limiter.close())
      await limiter.isAllowed('somebody')
      const name = `damaged:default:${algorithm}:somebody`
      // SETRANGE and GETRANGE would decode the bytes on their way through us; a script keeps them in Redis.
      await command('EVAL', "redis.call('SET', KEYS[1], string.sub(redis.call('GET', KEYS[1]), 1, -2))", 1, name)
      const refusal = await rejectionOf(() => limiter.isAllowed('somebody'), 'a damaged value')
      assertRefusal(refusal, { type: Error, code: 'ERR_RATE_LIMIT_STATE' }, 'a damaged value')
    })
  }
})
