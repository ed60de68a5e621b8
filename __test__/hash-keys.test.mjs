/** `hashKeys`: the same decisions, and no key in any store, error or count as somebody gave it. */

import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { inspect } from 'node:util'

import { DistributedRateLimiter, RateLimiter } from 'distributed-rate-limiter'

import { startRedis } from '../scripts/redis.mjs'
import { redisCommand } from '../scripts/resp.mjs'
import { ALGORITHMS } from './support/algorithms.mjs'
import { GOOD, kind, range } from './support/bad-input.mjs'
import { MemoryCache } from './support/memory-cache.mjs'
import { assertRefusal, rejectionOf, thrownBy } from './support/refusal.mjs'
import { limiterOf } from './support/stores.mjs'

const SECRET = 'a secret that all servers share'
const PLANTED = 'p1anted@example.com'

let redis
before(async () => {
  redis = await startRedis()
})
after(() => redis.stop())

const onRedis = (options) => ({
  redisUrl: redis.url,
  timeout: '30s',
  onStoreError: 'throw',
  denyCache: false,
  ...options,
})
const say = (...words) => redisCommand(redis.port, ...words)

const hashing = (t, options) => limiterOf(t, { limit: 3, window: '1d', hashKeys: SECRET, ...options })

/** What a decision says beside when. */
const said = ({ allowed, granted, limit, remaining }) => ({ allowed, granted, limit, remaining })

/** Everything that decides or changes, and what it answered. */
async function everything(limiter, key) {
  const answers = []
  const note = async (answer) => answers.push(said(await answer))
  await note(limiter.check(key))
  await note(limiter.check(key, { cost: 2 }))
  await note(limiter.check(key))
  await note(limiter.peek(key))
  await note(limiter.refund(key))
  await note(limiter.penalty(key, 2))
  await note(limiter.check(`${key}.`, { upTo: 5 }).catch(() => limiter.peek(key)))
  await limiter.block(key, '1h')
  await note(limiter.check(key))
  await limiter.unblock(key)
  await note(limiter.check(key))
  await limiter.reset(key)
  await note(limiter.check(key))
  await note(limiter.check(key, { action: 'download' }))
  await note(limiter.acquire(key, { maxWait: 0 }))
  limiter.configure(key, { limit: 9, window: '1d' })
  await note(limiter.check(key, { cost: 5 }))
  limiter.configure(key, null)
  await note(limiter.check(key))
  return answers
}

describe('hashed keys', { timeout: 60_000 }, () => {
  for (const store of ['memory', 'redis']) {
    for (const algorithm of ALGORITHMS) {
      test(`${algorithm} in ${store} decides as without`, async (t) => {
        const own = store === 'redis' ? onRedis() : {}
        const plain = hashing(t, { ...own, algorithm, prefix: 'plain', hashKeys: false })
        const hashed = hashing(t, { ...own, algorithm, prefix: 'hashed' })
        assert.deepEqual(await everything(hashed, PLANTED), await everything(plain, PLANTED))
      })
    }
  }

  test('a key never appears in Redis, and all are equally long', async (t) => {
    await say('FLUSHALL')
    const limiter = hashing(t, onRedis({ actions: { upload: { limit: 1, window: '1d' } } }))
    const both = hashing(t, {
      ...onRedis({ limit: undefined, window: undefined }),
      limits: [
        { name: 'user', limit: 2, window: '1d', by: 'mail' },
        { name: 'all', limit: 9, window: '1d', by: 'global' },
      ],
    })
    for (const key of [PLANTED, 'x', `${PLANTED}-`.repeat(200)]) await limiter.isAllowed(key)
    await limiter.isAllowed(PLANTED, { action: 'upload' })
    await limiter.block(PLANTED, '1h')
    await both.isAllowed({ mail: PLANTED })
    const names = await say('KEYS', '*')
    assert.equal(names.length, 6, names.join('\n'))
    for (const name of names) {
      if (name === 'rl:all:sliding-window:global') continue
      assert.match(name, /^rl:(default|default@upload|user):sliding-window:%hmac:[0-9a-f]{32}$/)
      const value = await say('GET', name)
      assert.ok(!`${name}${value}`.includes('p1anted'), name)
    }
  })

  test('a key never appears in a cache', async (t) => {
    const seen = []
    const cache = new MemoryCache()
    const watched = new Proxy(cache, {
      get: (target, name) =>
        typeof target[name] === 'function'
          ? (key, ...rest) => {
              seen.push(key)
              return target[name](key, ...rest)
            }
          : target[name],
    })
    const limiter = hashing(t, { cacheClient: watched })
    await limiter.isAllowed(PLANTED)
    const names = seen.filter((key) => key !== 'rl:probe')
    assert.ok(names.length > 0)
    for (const key of names) assert.match(String(key), /%hmac:[0-9a-f]{32}/)
  })

  test('a key never appears in errors, in counts or in the limiter itself', async (t) => {
    const limiter = hashing(t, { ...onRedis(), prefix: 'shown' })
    await limiter.isAllowed(PLANTED)
    const [name] = await say('KEYS', 'shown:*')
    await say('SET', name, 'of another program')
    const errors = [
      await rejectionOf(() => limiter.isAllowed(PLANTED), 'a foreign value'),
      await rejectionOf(() => limiter.isAllowed(PLANTED, { cost: 10 }), 'a cost'),
      await rejectionOf(() => limiter.isAllowed({ mail: PLANTED }), 'an object'),
    ]
    for (const shown of [...errors, limiter, limiter.stats()]) {
      const all = inspect(shown, { depth: Infinity, showHidden: true }) + JSON.stringify(shown) + shown.stack
      assert.ok(!all.includes(PLANTED) && !all.includes(SECRET), all)
    }
  })

  test('one secret is one count, another secret is another', async (t) => {
    const own = { ...onRedis(), limit: 1, prefix: 'shared' }
    const [one, same, other] = [SECRET, SECRET, `${SECRET}!`].map((hashKeys) => hashing(t, { ...own, hashKeys }))
    assert.equal(await one.isAllowed(PLANTED), true)
    assert.equal(await same.isAllowed(PLANTED), false)
    assert.equal(await other.isAllowed(PLANTED), true)
    const plain = hashing(t, { ...own, hashKeys: false })
    assert.equal(await plain.isAllowed(PLANTED), true)
  })

  test('whoever knows what a key is called in Redis is not that key', async (t) => {
    const limiter = hashing(t, { ...onRedis(), limit: 1, prefix: 'forged' })
    await limiter.isAllowed(PLANTED)
    const [name] = await say('KEYS', 'forged:*')
    assert.equal(await limiter.isAllowed(name.slice(name.indexOf('%'))), true)
    const plain = hashing(t, { ...onRedis(), limit: 1, prefix: 'forged', hashKeys: false })
    assert.equal(await plain.isAllowed(name.slice(name.indexOf('%'))), true)
  })

  test('isAllowedSync and DistributedRateLimiter know it too', async (t) => {
    const limiter = hashing(t, { limit: 1 })
    assert.deepEqual([limiter.isAllowedSync(PLANTED), limiter.isAllowedSync(PLANTED)], [true, false])
    const other = new DistributedRateLimiter({ maxRequests: 1, timeWindowMs: 60_000, hashKeys: SECRET })
    t.after(() => other.close())
    assert.deepEqual([await other.isAllowed(PLANTED), await other.isAllowed(PLANTED)], [true, false])
  })

  for (const [title, hashKeys, error, says] of [
    ['true', true, kind, 'a digest without a secret can be undone'],
    // A variable of the environment that nobody set would otherwise mean that everything is stored in the clear.
    ['undefined', undefined, kind, 'is a variable of the environment not set?'],
    ['null', null, kind, 'null'],
    ['a number', 1234567890123456, kind, 'a number was given'],
    ['an object', {}, kind, 'an object'],
    ['an array', [SECRET], kind, 'an array'],
    ['a buffer', Buffer.from(SECRET), kind, 'an object'],
    ['an empty string', '', range, 'a string of 0'],
    ['a secret of 15', 'p1anted-secret!', range, 'a string of 15'],
    ['a secret of 1,025', 'p'.repeat(1_025), range, 'a string of 1025'],
  ]) {
    test(`${title} is no secret`, () => {
      const refusal = thrownBy(() => new RateLimiter({ ...GOOD, hashKeys }), title)
      assertRefusal(refusal, { ...error, says: ['`hashKeys`', '16 to 1024', says] }, title)
      assert.ok(!/p1anted|123456789/.test(refusal.stack), 'what may be a secret is not quoted')
    })
  }

  test('a secret may have 16 to 1,024 characters of any kind, and false is none', async () => {
    for (const hashKeys of ['s'.repeat(16), '€'.repeat(1_024), false]) {
      await new RateLimiter({ ...GOOD, hashKeys }).close()
    }
  })
})
