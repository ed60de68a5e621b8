/** The line of docs/security.md that makes a Redis user: all of the limiter works with it, and without any of its rights it does not. */

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { after, before, describe, test } from 'node:test'

import { RateLimiter } from 'distributed-rate-limiter'

import { startRedis } from '../scripts/redis.mjs'
import { redisCommand } from '../scripts/resp.mjs'
import { line, RIGHTS, urlFor } from './support/acl.mjs'
import { ALGORITHMS } from './support/algorithms.mjs'
import { settles, until } from './support/wait.mjs'

let redis
before(async () => {
  redis = await startRedis()
})
after(() => redis.stop())

const say = (words) => redisCommand(redis.port, ...words)

/** Every verb, each of which must be answered by Redis. */
async function everything(t, algorithm, database = '') {
  const redisUrl = `${urlFor(redis)}${database}`
  const limiter = new RateLimiter({
    ...{ limit: 5, window: '1h', algorithm, redisUrl, timeout: '10s', onStoreError: 'throw' },
    actions: { upload: { limit: 3, window: '1d' } },
  })
  t.after(() => limiter.close())
  assert.equal((await limiter.check('a')).source, 'redis')
  await limiter.peek('a')
  await limiter.penalty('a')
  await limiter.refund('a', 2)
  await limiter.isAllowed('a', { upTo: 2, action: 'upload' })
  await limiter.isAllowed('a', { timestamp: Date.now() })
  await limiter.acquire('a', { maxWait: 0 })
  await limiter.block('a', '1m')
  assert.equal(await limiter.isAllowed('a'), false)
  await limiter.unblock('a')
  await limiter.reset('a')
  const several = new RateLimiter({
    ...{ redisUrl, timeout: '10s', onStoreError: 'throw' },
    limits: [
      { name: 'short', limit: 2, window: '1s' },
      { name: 'long', limit: 9, window: '1h' },
    ],
  })
  t.after(() => several.close())
  await several.check('a')
  // Whose second value is as long as the first, and need not live longer.
  const bucket = new RateLimiter({
    ...{ limit: 100, window: '1h', algorithm: 'token-bucket', redisUrl, timeout: '10s', onStoreError: 'throw' },
  })
  t.after(() => bucket.close())
  await bucket.check('overwritten')
  await bucket.check('overwritten')
  // The same of calls that are merged, and of several limits.
  await Promise.all(Array.from({ length: 8 }, () => bucket.check('overwritten')))
  await several.check('a')
  await announced(t, redisUrl)
  await heard(t, redisUrl)
  await warned(t, redisUrl)
  // Redis has forgotten the script and the function, as it does when it restarts.
  await say(['SCRIPT', 'FLUSH'])
  await say(['FUNCTION', 'FLUSH'])
  await limiter.check('b')
  await fast(several, bucket)
}

/** Resolves when a function decides, reads its keys at once and writes in place; rejects when one of these was refused. */
async function fast(several, bucket) {
  await say(['CONFIG', 'RESETSTAT'])
  await several.check('fast')
  await bucket.check('overwritten')
  const stats = await say(['INFO', 'commandstats'])
  for (const command of ['fcall', 'mget', 'setrange']) {
    assert.match(stats, new RegExp(`cmdstat_${command}:calls=[1-9].*rejected_calls=0`), 'it was fast')
  }
}

/** Resolves when an instance has been counted, rejects when it is refused. */
async function announced(t, redisUrl) {
  const options = { limit: 5, window: '1h', redisUrl, timeout: '10s', fallback: { share: 'fleet' } }
  const limiter = new RateLimiter(options)
  t.after(() => limiter.close())
  const refused = new Promise((_, reject) => limiter.once('fleetUnknown', reject))
  const counted = until(() => limiter.stats().fleet !== null, 'it is counted')
  counted.catch(() => {})
  await Promise.race([refused, counted])
}

/** Resolves when one process has heard that another has freed a key, rejects when it has not for some time. */
async function heard(t, redisUrl) {
  const options = { limit: 1, window: '1h', redisUrl, timeout: '10s', denyCache: '1m' }
  const [here, elsewhere] = [new RateLimiter(options), new RateLimiter(options)]
  t.after(() => Promise.all([here.close(), elsewhere.close()]))
  await elsewhere.reset('freed')
  await here.isAllowed('freed')
  await until(async () => (await here.check('freed')).source === 'deny-cache', 'it was refused')
  await elsewhere.reset('freed')
  await until(() => here.isAllowed('freed'), 'it was heard', 2_000)
}

/** Resolves when it is told that keys may be evicted, rejects when it is not for some time. */
async function warned(t, redisUrl) {
  await say(['CONFIG', 'SET', 'maxmemory', '1gb', 'maxmemory-policy', 'volatile-ttl'])
  const limiter = new RateLimiter({ limit: 5, window: '1h', redisUrl, timeout: '10s' })
  t.after(() => limiter.close())
  let policy
  limiter.on('storeEvicts', (told) => {
    policy = told
  })
  // The question left before the call did, on the same connection.
  await limiter.check('warned')
  await until(() => policy === 'volatile-ttl', 'it was warned', 2_000)
}

describe('the Redis user of docs/security.md', { timeout: 120_000 }, () => {
  test('has rights, and not all of them', () => {
    assert.deepEqual(line.slice(0, 2), ['ACL', 'SETUSER'])
    assert.ok(line.includes('reset'), 'it begins with no right')
    assert.ok(RIGHTS.length >= 7 && !RIGHTS.some((right) => /@|^~\*$/.test(right)), RIGHTS.join(' '))
  })

  for (const algorithm of ALGORITHMS) {
    test(`is enough for ${algorithm}`, async (t) => {
      await say(line)
      await everything(t, algorithm)
    })
  }

  for (const right of RIGHTS) {
    test(`is not enough without ${right}`, async (t) => {
      await say(['SCRIPT', 'FLUSH'])
      await say(['FUNCTION', 'FLUSH'])
      await say(line.filter((word) => word !== right))
      const lost = /mget|setrange|fcall|function/.test(right)
        ? /it was fast/
        : right === '+info'
          ? /it was warned/
          : /publish|subscribe|&/.test(right)
            ? /it was heard/
            : { code: 'ERR_RATE_LIMIT_STORE_UNAVAILABLE' }
      await assert.rejects(everything(t, 'sliding-window'), lost)
    })
  }

  test('needs +select for another database, and no more', async (t) => {
    await say(line)
    await assert.rejects(everything(t, 'sliding-window', '/1'), { code: 'ERR_RATE_LIMIT_STORE_UNAVAILABLE' })
    await say([...line, '+select'])
    await everything(t, 'sliding-window', '/1')
  })

  test('needs +hmget and +hstrlen to share policies, and +hset to publish them', async (t) => {
    const options = { limit: 5, window: '1h', redisUrl: urlFor(redis), timeout: '10s', policies: 'shared' }
    const sharing = () => {
      const limiter = new RateLimiter(options)
      t.after(() => limiter.close())
      return limiter
    }
    const refused = async (limiter) => {
      const [error] = await settles(once(limiter, 'policiesInvalid'), 'the event')
      assert.match(error.message, /cannot be read \(.*(NOPERM|can't run this command|no permissions to run)/)
    }
    await say(line)
    await refused(sharing())
    await say([...line, '+hmget'])
    await refused(sharing())
    await say([...line, '+hmget', '+hstrlen'])
    const reader = sharing()
    const document = { limit: 7, window: '1h' }
    await assert.rejects(reader.publishPolicies(document), { code: 'ERR_RATE_LIMIT_STORE_UNAVAILABLE' })
    await say([...line, '+hmget', '+hstrlen', '+hset'])
    await reader.publishPolicies(document)
    const late = sharing()
    await until(() => late.policies()[0].limit === 7, 'a reader has it in force')
  })

  test('cannot be used for keys of another prefix', async (t) => {
    await say(line)
    const redisUrl = urlFor(redis)
    const options = { limit: 5, window: '1h', prefix: 'other', redisUrl, timeout: '10s', onStoreError: 'throw' }
    const limiter = new RateLimiter(options)
    t.after(() => limiter.close())
    await assert.rejects(limiter.isAllowed('a'), { code: 'ERR_RATE_LIMIT_STORE_UNAVAILABLE' })
  })
})
