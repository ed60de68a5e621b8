/** Beginnings and ends: of limiters and of processes. Those in the midst of calls: `chaos.test.mjs`. */

import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'

import { RateLimiter } from 'distributed-rate-limiter'

import { freePort, startRedis } from '../scripts/redis.mjs'
import { redisCommand } from '../scripts/resp.mjs'
import { assertEnded, program, run } from './support/child.mjs'
import { assertDecision } from './support/decision.mjs'
import { allowedOf } from './support/face.mjs'
import { atMost } from './support/long.mjs'
import { assertRefusal, rejectionOf, thrownBy } from './support/refusal.mjs'
import { settles, until } from './support/wait.mjs'

/** A Redis that answers, one that is silent, and a port where nobody listens. */
let redis
let silent
let absentUrl
before(async () => {
  redis = await startRedis()
  silent = await startRedis()
  silent.process.kill('SIGSTOP')
  absentUrl = `redis://127.0.0.1:${await freePort()}`
})
after(async () => {
  silent.process.kill('SIGCONT')
  await Promise.all([redis.stop(), silent.stop()])
})

const stores = {
  memory: () => undefined,
  redis: () => redis.url,
  'a silent redis': () => silent.url,
  'an absent redis': () => absentUrl,
}

let made = 0
/** A limiter that shares its counts with no other. Where Redis answers it has the time to, however busy the machine. */
function limiterOn(store, options) {
  made += 1
  const timeout = store === 'redis' ? '10s' : 100
  return new RateLimiter({
    limit: 5,
    window: '1d',
    redisUrl: stores[store](),
    prefix: `life-${made}`,
    timeout,
    ...options,
  })
}

const connections = async () => (await redisCommand(redis.port, 'CLIENT', 'LIST')).trim().split('\n').length - 1

describe('a program that closes nothing ends by itself', { timeout: atMost(60_000) }, () => {
  const prints = {
    none: 'made\n',
    isAllowed: 'settled: true\n',
    check: 'settled: true\n',
    peek: 'settled: true\n',
    'not-awaited': 'settled: true\n',
  }
  for (const [store, url] of Object.entries(stores)) {
    for (const [method, printed] of Object.entries(prints)) {
      test(`${store}, ${method}`, async () => {
        const end = await run(program('one-call.mjs'), { args: [method, ...(url() ? [url()] : [])], within: 10_000 })
        assertEnded(end, 'a program that made one call')
        assert.equal(end.stdout, printed)
        assert.equal(end.stderr, '', 'nothing is said where nobody asked for it')
      })
    }
  }

  for (const [store, url, printed] of [
    ['redis', () => redis.url, 'undefined\n'],
    ['a silent redis', () => silent.url, 'ERR_RATE_LIMIT_STORE_UNAVAILABLE\n'],
    ['an absent redis', () => absentUrl, 'ERR_RATE_LIMIT_STORE_UNAVAILABLE\n'],
  ]) {
    test(`${store}, ready()`, async () => {
      const end = await run(program('one-call.mjs'), { args: ['ready', url()], within: 10_000 })
      assertEnded(end, 'a program that waited until its limiter is ready')
      assert.equal(end.stdout, printed)
    })
  }
})

describe('close()', { timeout: atMost(60_000) }, () => {
  for (const store of Object.keys(stores)) {
    test(`${store}: what is pending settles first`, async () => {
      const limiter = limiterOn(store, { limit: 100 })
      const calls = Array.from({ length: 500 }, () => limiter.isAllowed('a'))
      await settles(limiter.close(), 'close()')
      // Before the next turn: close() resolved, so nothing is left to wait for.
      assert.equal(limiter.stats().pending, 0)
      const answers = await settles(Promise.all(calls), 'the calls that were made before close()')
      assert.equal(answers.filter(Boolean).length, 100, 'they were decided, and rightly')
    })

    test(`${store}: is safe twice, and at the same time`, async () => {
      const limiter = limiterOn(store)
      await limiter.isAllowed('a')
      let told = 0
      limiter.on('close', () => (told += 1))
      const both = await settles(Promise.all([limiter.close(), limiter.close()]), 'two close() at once')
      assert.deepEqual(both, [undefined, undefined])
      assert.equal(await settles(limiter.close(), 'a third close()'), undefined)
      await new Promise(setImmediate)
      assert.equal(told, 1, 'listeners are told once')
    })

    test(`${store}: later calls reject, and say why`, async () => {
      const limiter = limiterOn(store)
      await limiter.isAllowed('a')
      const closing = limiter.close()
      for (const when of ['while it closes', 'once it is closed']) {
        for (const method of ['isAllowed', 'check', 'peek', 'reset', 'ready']) {
          const args = method === 'ready' ? [] : ['a']
          const refusal = await rejectionOf(() => limiter[method](...args), `${method} ${when}`)
          assertRefusal(refusal, { type: Error, code: 'ERR_RATE_LIMIT_CLOSED' }, `${method} ${when}`)
        }
        const refusal = thrownBy(() => limiter.isAllowedSync('a'), `isAllowedSync ${when}`)
        // Where Redis decides, it could not have answered at once before either.
        const codes = store === 'memory' ? /^ERR_RATE_LIMIT_CLOSED$/ : /^ERR_RATE_LIMIT_(CLOSED|NOT_LOCAL)$/
        assert.match(refusal.code, codes, `isAllowedSync ${when}`)
        await settles(closing, 'close()')
      }
      assert.equal(limiter.stats().allowed, 1, 'what was counted can still be read')
    })

    test(`${store}: a limiter that was never used`, async () => {
      await settles(limiterOn(store).close(), 'close()')
    })
  }

  test('ready() that waits is settled too', async () => {
    const limiter = limiterOn('an absent redis')
    const ready = limiter.ready({ timeout: '30s' })
    const settled = Promise.allSettled([ready])
    await settles(limiter.close(), 'close()')
    const [{ status }] = await settles(settled, 'ready()', 2_000)
    assert.equal(status, 'rejected', 'Redis has not been there')
  })

  test('leaves Redis', async () => {
    const before = await connections()
    const limiters = Array.from({ length: 10 }, () => limiterOn('redis'))
    await Promise.all(limiters.map((limiter) => limiter.ready()))
    assert.ok((await connections()) >= before + 10, 'each limiter has a connection')
    await Promise.all(limiters.map((limiter) => limiter.close()))
    await until(async () => (await connections()) <= before, 'the connections were gone')
  })

  test('tells of no trouble', async () => {
    const told = []
    const logger = { warn: (line) => told.push(line), error: (line) => told.push(line) }
    const limiter = limiterOn('redis', { logger })
    limiter.on('storeDown', (error) => told.push(error))
    await limiter.ready()
    told.length = 0
    await limiter.close()
    await until(() => limiter.stats().pending === 0, 'all was quiet')
    assert.deepEqual(told, [])
  })
})

describe('ready()', { timeout: atMost(60_000) }, () => {
  test('is at once without Redis', async () => {
    const limiter = limiterOn('memory')
    assert.equal(await settles(limiter.ready(), 'ready()'), undefined)
    await limiter.close()
  })

  test('waits for a Redis that comes later', async (t) => {
    const port = await freePort()
    const limiter = limiterOn('an absent redis', { redisUrl: `redis://127.0.0.1:${port}` })
    t.after(() => limiter.close())
    const ready = limiter.ready({ timeout: '20s' })
    assertDecision(await limiter.check('a'), { source: 'fallback' })
    const late = await startRedis({ port })
    t.after(() => late.stop())
    assert.equal(await settles(ready, 'ready()'), undefined)
    await until(async () => (await limiter.check('b')).source === 'redis', 'Redis decided')
  })

  test('rejects for whoever asks with little patience, and resolves for others', async (t) => {
    const port = await freePort()
    const limiter = limiterOn('an absent redis', { redisUrl: `redis://127.0.0.1:${port}` })
    t.after(() => limiter.close())
    const patient = limiter.ready({ timeout: '20s' })
    const refusal = await rejectionOf(() => limiter.ready({ timeout: 50 }), 'ready({ timeout: 50 })')
    assertRefusal(refusal, { type: Error, code: 'ERR_RATE_LIMIT_STORE_UNAVAILABLE' }, 'ready({ timeout: 50 })')
    const late = await startRedis({ port })
    t.after(() => late.stop())
    assert.equal(await settles(patient, 'ready()'), undefined)
  })
})

describe('many limiters', { timeout: atMost(60_000) }, () => {
  for (const store of Object.keys(stores)) {
    test(`200 in one process, ${store}`, async () => {
      const limiters = Array.from({ length: 200 }, () => limiterOn(store, { limit: 2 }))
      const allowed = await settles(
        Promise.all(limiters.map((limiter) => allowedOf(limiter, 'a', 5))),
        '1,000 calls of 200 limiters',
      )
      assert.deepEqual(
        allowed,
        limiters.map(() => 2),
        'each has its own count',
      )
      await settles(Promise.all(limiters.map((limiter) => limiter.close())), '200 close()')
    })
  }

  for (const [store, url] of Object.entries(stores).slice(0, 2)) {
    test(`dropped without close() they are collected, ${store}`, async () => {
      const args = [100, ...(url() ? [url()] : [])]
      const end = await run(program('dropped.mjs'), { args, nodeArgs: ['--expose-gc'], within: 20_000 })
      assertEnded(end, 'a program that waits until its limiters are collected')
      assert.equal(end.stdout, 'collected\n')
    })
  }
})
