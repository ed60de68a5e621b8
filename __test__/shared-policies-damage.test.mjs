/** What somebody has done to shared policies by hand, and what is no policy: the last good ones stay in force, and it is told once. */

import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { after, before, describe, test } from 'node:test'

import { DistributedRateLimiter, RateLimiter } from 'distributed-rate-limiter'

import { startRedis } from '../scripts/redis.mjs'
import { redisCommand } from '../scripts/resp.mjs'
import { settles, until } from './support/wait.mjs'

let redis
before(async () => {
  redis = await startRedis()
})
after(() => redis.stop())

const say = (...words) => redisCommand(redis.port, ...words)
const sumOf = (text) => createHash('sha256').update(text).digest('hex')
const GOOD = { limit: 7, window: '1h' }
const LONGEST = 8 * 2 ** 20

/** Writes a document by hand, as the next version unless another is said. */
function write(key, text, { version = 2, sum = sumOf(text), at = Date.now() * 1_000 } = {}) {
  return say('HSET', key, 'version', version, 'document', text, 'sum', sum, 'at', at)
}

let names = 0

/** A limiter with a good version 1 in force, the key that holds it, and what its logger was told. */
async function shared(t, options) {
  const name = `n${(names += 1)}`
  const logged = []
  const log = (message) => logged.push(message)
  const limiter = new RateLimiter({
    ...{ limit: 5, window: '1h', redisUrl: redis.url, timeout: '10s', policies: { shared: name } },
    ...{ logger: { warn: log, error: log }, ...options },
  })
  t.after(() => limiter.close())
  await limiter.publishPolicies(GOOD)
  return { limiter, key: `rl:policies:${name}`, logged }
}

const DAMAGES = [
  ['another type', (key) => say('SET', key, 'something'), /cannot be read \(.*WRONGTYPE/],
  ['nothing', (key) => say('DEL', key), /no policies any more: version 1 stays/],
  ['no version', (key) => say('HDEL', key, 'version'), /lack a field/],
  ['no document', (key) => say('HDEL', key, 'document'), /lack a field/],
  ['no sum', (key) => say('HDEL', key, 'sum'), /lack a field/],
  ['no time', (key) => say('HDEL', key, 'at'), /lack a field/],
  ['a version that is no number', (key) => say('HSET', key, 'version', 'two'), /no number/],
  ['a version beyond all numbers', (key) => say('HSET', key, 'version', '9'.repeat(400)), /no number/],
  ['another document', (key) => say('HSET', key, 'version', 2, 'document', '{"limit":9,"window":"1h"}'), /was damaged/],
  ['a document without its sum', (key) => say('HSET', key, 'document', '{"limit":900,"window":"1h"}'), /was damaged/],
  ['bytes that are no text', (key) => write(key, '{"limit":9}', { sum: sumOf(Buffer.from([0xff])) }), /was damaged/],
  ['no JSON', (key) => write(key, 'limit: 9'), /version 2 .* cannot be in force here: .*JSON/],
  ['JSON that is no document', (key) => write(key, '[1]'), /`document` must be an object .* but an array was given/],
  ['a limit that is none', (key) => write(key, '{"limit":0,"window":"1h"}'), /`limit` must be/],
  ['an unknown field', (key) => write(key, '{"limit":9,"window":"1h","limt":1}'), /limt/],
  ["a limiter's own option", (key) => write(key, '{"limit":9,"window":"1h","prefix":"x"}'), /each limiter's own/],
  ['a form to come', (key) => write(key, '{"version":2,"limit":9,"window":"1h"}'), /`version` must be 1/],
  ['a version that went back', (key) => write(key, '{"limit":9,"window":"1h"}', { version: 1, at: 1 }), /gone back to/],
]

describe('shared policies that were damaged', { timeout: 120_000, concurrency: 6 }, () => {
  for (const [what, damage, expected] of DAMAGES) {
    test(`${what}: the last good ones stay, and it is told once`, async (t) => {
      const { limiter, key, logged } = await shared(t)
      let told = 0
      limiter.on('policiesInvalid', () => (told += 1))
      const invalid = once(limiter, 'policiesInvalid')
      await damage(key)
      const [error] = await settles(invalid, 'the event', 20_000)
      assert.equal(error.code, 'ERR_RATE_LIMIT_POLICIES')
      assert.match(error.message, expected)
      assert.deepEqual([limiter.sharedPolicies().document, limiter.policies()[0].limit], [GOOD, 7])
      assert.equal((await limiter.check('a')).limit, 7)

      await until(async () => (await asked(key)) >= 2, 'it is asked about again', 20_000)
      assert.deepEqual([told, logged.length, limiter.stats().policies.invalid], [1, 1, 1], logged.join('\n'))
      assert.equal(logged[0], `distributed-rate-limiter: the last good policies stay in force: ${error.message}`)

      // It is mended by publishing, except where that would be over something else.
      if (what === 'another type') {
        await assert.rejects(limiter.publishPolicies({ limit: 8, window: '1h' }), { code: 'ERR_RATE_LIMIT_POLICIES' })
        assert.equal(await say('GET', key), 'something')
        await say('DEL', key)
      }
      const { version } = await limiter.publishPolicies({ limit: 8, window: '1h' })
      assert.ok(version >= 2)
      assert.deepEqual([limiter.sharedPolicies().version, limiter.policies()[0].limit], [version, 8])
      assert.deepEqual(limiter.stats().policies, { version, changes: 2, invalid: 1 })
    })
  }

  test('what was damaged and is put back is in force, and a process that begins meanwhile has its own', async (t) => {
    const { limiter, key } = await shared(t)
    const good = await say('HGETALL', key)
    const invalid = once(limiter, 'policiesInvalid')
    await say('HSET', key, 'sum', 'wrong')
    await settles(invalid, 'the event', 20_000)
    const options = { limit: 5, window: '1h', redisUrl: redis.url, policies: { shared: key.split(':')[2] } }
    const late = new RateLimiter(options)
    t.after(() => late.close())
    await settles(once(late, 'policiesInvalid'), 'the event', 20_000)
    assert.deepEqual([late.policies()[0].limit, late.stats().policies], [5, { version: 0, changes: 0, invalid: 1 }])
    await say('HSET', key, ...good)
    await until(() => late.policies()[0].limit === 7, 'it is in force', 20_000)
    assert.deepEqual(limiter.stats().policies, { version: 1, changes: 1, invalid: 1 })
  })

  test('a version that has no next one, or is not in digits, is none: counting goes on from what is known', async (t) => {
    const { limiter, key } = await shared(t)
    await say('HSET', key, 'version', Number.MAX_SAFE_INTEGER)
    assert.deepEqual(await limiter.publishPolicies(GOOD), { version: 2 })
    await say('HSET', key, 'version', '1e3')
    assert.deepEqual(await limiter.publishPolicies(GOOD), { version: 3 })
  })
})

describe('what is no policy', { timeout: 60_000 }, () => {
  const loop = {}
  loop.loop = loop
  for (const [what, document, expected] of [
    [
      'nothing',
      undefined,
      { name: 'TypeError', code: 'ERR_RATE_LIMIT_OPTION', message: /`document` must be an object/ },
    ],
    ['null', null, { name: 'TypeError', code: 'ERR_RATE_LIMIT_OPTION', message: /but null was given/ }],
    ['a text', '{}', { name: 'TypeError', code: 'ERR_RATE_LIMIT_OPTION' }],
    ['no limit', {}, { name: 'TypeError', code: 'ERR_RATE_LIMIT_OPTION', message: /`limit`/ }],
    ['a limit of 0', { limit: 0, window: '1h' }, { name: 'RangeError', code: 'ERR_RATE_LIMIT_OPTION' }],
    ['a limit that JSON does not know', { limit: NaN, window: '1h' }, { code: 'ERR_RATE_LIMIT_OPTION' }],
    ['an unknown field', { ...GOOD, limt: 1 }, { name: 'TypeError', code: 'ERR_RATE_LIMIT_UNKNOWN_OPTION' }],
    [
      'where Redis is',
      { ...GOOD, redisUrl: 'redis://a' },
      { name: 'TypeError', code: 'ERR_RATE_LIMIT_UNKNOWN_OPTION' },
    ],
    ['a loop', { ...GOOD, actions: loop }, { name: 'TypeError', message: /must be what JSON can say/ }],
    ['a bigint', { ...GOOD, limit: 5n }, { name: 'TypeError', message: /must be what JSON can say/ }],
    ['another form', { ...GOOD, version: 2 }, { name: 'RangeError', message: /`version` must be 1/ }],
    ['too much', { ...GOOD, $schema: 'x'.repeat(LONGEST) }, { name: 'RangeError', message: /at most 8388608 bytes/ }],
  ]) {
    test(`${what} is refused before it is stored, and changes nothing`, async (t) => {
      const { limiter, key } = await shared(t)
      const before = await say('HGETALL', key)
      await assert.rejects(limiter.publishPolicies(document), expected)
      assert.deepEqual(await say('HGETALL', key), before)
      assert.deepEqual(limiter.stats().policies, { version: 1, changes: 1, invalid: 0 })
    })
  }

  test('what a limiter cannot do with its own options is refused by it', async (t) => {
    const { limiter } = await shared(t, { lease: { max: 10, ttl: '1s' } })
    await assert.rejects(limiter.publishPolicies({ limit: 7, window: '500ms' }), { code: 'ERR_RATE_LIMIT_OPTION' })
    await limiter.publishPolicies({ limit: 8, window: '2s' })
  })

  test('bad options of publishing are refused', async (t) => {
    const { limiter } = await shared(t)
    for (const [options, expected] of [
      [null, { name: 'TypeError', code: 'ERR_RATE_LIMIT_OPTION' }],
      [{ ifVersion: '1' }, { name: 'TypeError', code: 'ERR_RATE_LIMIT_OPTION', message: /`ifVersion`/ }],
      [{ ifVersion: -1 }, { name: 'RangeError', code: 'ERR_RATE_LIMIT_OPTION' }],
      [{ ifVersion: 0.5 }, { name: 'RangeError', code: 'ERR_RATE_LIMIT_OPTION' }],
      [{ version: 1 }, { name: 'TypeError', code: 'ERR_RATE_LIMIT_UNKNOWN_OPTION' }],
    ]) {
      await assert.rejects(limiter.publishPolicies({ limit: 8, window: '1h' }, options), expected)
    }
    assert.equal(limiter.policies()[0].limit, 7)
  })

  test('bad values of the option are refused by the constructor, and a limiter without it shares nothing', async (t) => {
    const own = { limit: 5, window: '1h' }
    for (const [options, expected] of [
      [
        { policies: 'nobody' },
        { name: 'RangeError', message: /`policies` must be an object of policies, 'shared', or the path/ },
      ],
      [{ policies: 7 }, { name: 'TypeError', code: 'ERR_RATE_LIMIT_OPTION' }],
      [{ policies: null }, { name: 'TypeError', code: 'ERR_RATE_LIMIT_OPTION' }],
      [{ policies: { shared: '' } }, { name: 'RangeError', message: /`policies.shared`/ }],
      [{ policies: { shared: 'a:b' } }, { name: 'RangeError', message: /`policies.shared`/ }],
      [{ policies: { shared: 'a'.repeat(65) } }, { name: 'RangeError' }],
      [{ policies: { shared: 7 } }, { name: 'TypeError' }],
      [{ policies: { shared: 'a', more: 1 } }, { code: 'ERR_RATE_LIMIT_OPTION' }],
      [
        { policies: 'shared', redisUrl: undefined },
        { name: 'TypeError', message: /shared through Redis: give/ },
      ],
    ]) {
      assert.throws(() => new RateLimiter({ ...own, redisUrl: redis.url, ...options }), expected)
    }
    const none = new RateLimiter(own)
    t.after(() => none.close())
    await assert.rejects(none.publishPolicies(GOOD), { code: 'ERR_RATE_LIMIT_UNSUPPORTED' })
    assert.throws(() => none.sharedPolicies(), { code: 'ERR_RATE_LIMIT_UNSUPPORTED' })
    assert.deepEqual(none.stats().policies, { version: 0, changes: 0, invalid: 0 })
  })

  test('without the option Redis is asked for no policies', async (t) => {
    const limiter = new RateLimiter({ limit: 5, window: '1h', redisUrl: redis.url })
    const words = new DistributedRateLimiter({
      ...{ maxRequests: 5, timeWindowMs: 1_000, redisUrl: redis.url, policies: { shared: 'words' } },
    })
    t.after(() => Promise.all([limiter.close(), words.close()]))
    await limiter.ready()
    await until(async () => (await asked('rl:policies:words')) >= 2, 'the other asks', 20_000)
    assert.equal(await asked('rl:policies:default'), 0)
    await words.publishPolicies({ limit: 7, window: '1h' })
    assert.equal(words.policies()[0].limit, 7)
  })
})

/** How often a key has been asked about since this was first asked of it. */
const asking = new Map()
async function asked(key) {
  if (!asking.has(key)) {
    asking.set(key, 0)
    const port = redis.port
    monitor(port, (line) => {
      if (line.includes('HMGET') && line.includes(`"${key}"`)) asking.set(key, asking.get(key) + 1)
    })
  }
  return asking.get(key)
}

/** Tells every command that a server runs, until it stops. */
async function monitor(port, tell) {
  const { connect } = await import('node:net')
  const socket = connect(port, '127.0.0.1', () => socket.write('MONITOR\r\n'))
  socket.unref()
  socket.on('error', () => {})
  let rest = ''
  socket.setEncoding('utf8').on('data', (text) => {
    const lines = (rest + text).split('\r\n')
    rest = lines.pop()
    lines.forEach(tell)
  })
}
