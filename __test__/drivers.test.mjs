/** Who works beside the calls: the loop of the thread that calls, or a thread. What both do alike the other tests try of each. */

import assert from 'node:assert/strict'
import { AsyncLocalStorage } from 'node:async_hooks'
import { readdirSync, readFileSync } from 'node:fs'
import { after, before, describe, test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'

import { RateLimiter } from 'distributed-rate-limiter'

import { startRedis } from '../scripts/redis.mjs'
import { assertEnded, program, run } from './support/child.mjs'
import { atMost } from './support/long.mjs'
import { block, settles, until } from './support/wait.mjs'

let redis
before(async () => {
  redis = await startRedis()
})
after(() => redis.stop())

let made = 0
function limiterOn(driver, options) {
  made += 1
  // Where Redis answers it has the time to, however busy the machine.
  const shared = { limit: 1_000_000, window: '1d', redisUrl: redis.url, timeout: '10s' }
  return new RateLimiter({ ...shared, prefix: `d${made}`, driver, ...options })
}

const isLinux = process.platform === 'linux'
/** The threads of this process that are the thread driver's. */
const threads = () =>
  readdirSync('/proc/self/task').filter((id) => readFileSync(`/proc/self/task/${id}/comm`, 'utf8') === 'rate-limiter\n')
const descriptors = () => readdirSync('/proc/self/fd').length

const sourcesOf = (decisions) => [...new Set(decisions.map(({ source }) => source))]

describe('the loop driver', { timeout: atMost(120_000) }, () => {
  test('needs no thread', { skip: !isLinux && 'threads are counted on Linux' }, async () => {
    const before = threads().length
    const limiter = limiterOn('loop')
    assert.equal((await limiter.check('a')).source, 'redis')
    assert.equal(threads().length, before)
    const other = limiterOn('thread')
    assert.equal((await other.check('a')).source, 'redis')
    assert.equal(threads().length, Math.max(before, 1), 'the other one does')
    await Promise.all([limiter.close(), other.close()])
  })

  test('what is awaited goes on at once, whatever else the loop waits for', async () => {
    for (const driver of ['loop', 'thread', 'both']) {
      const end = await run(program('in-turn.mjs'), { args: [redis.url, driver], within: 60_000 })
      assertEnded(end, `a program that makes one call after the other, ${driver}`)
      assert.equal(end.stdout, 'redis redis\n')
    }
  })

  test('what is called in one round of the loop is one batch', async (t) => {
    const limiter = limiterOn('loop')
    t.after(() => limiter.close())
    await limiter.ready()
    await limiter.check('first')
    for (const count of [1, 2, 100]) {
      const before = limiter.stats().batches
      await Promise.all(Array.from({ length: count }, (_, index) => limiter.check(`key-${index}`)))
      assert.equal(limiter.stats().batches - before, 1, `${count} calls`)
    }
  })

  test('of a long round the first 32 calls leave before its end', async (t) => {
    const limiter = limiterOn('loop')
    t.after(() => limiter.close())
    await limiter.ready()
    // Out of the delivery of that answer, after which the loop sends what there is anyway.
    await turn()
    const before = limiter.stats().batches
    const calls = []
    const sent = Array.from({ length: 40 }, (_, index) => {
      calls.push(limiter.check(`key-${index}`))
      return limiter.stats().batches - before
    })
    assert.deepEqual(sent, [...Array(31).fill(0), ...Array(9).fill(1)])
    assert.deepEqual(sourcesOf(await Promise.all(calls)), ['redis'])
  })

  test('1,024 calls under way, again and again', async (t) => {
    const limiter = limiterOn('loop')
    t.after(() => limiter.close())
    const caller = async (index) => {
      const sources = new Set()
      for (let call = 0; call < 50; call += 1) sources.add((await limiter.check(`key-${index}`)).source)
      return [...sources]
    }
    const all = await settles(
      Promise.all(Array.from({ length: 1_024 }, (_, index) => caller(index))),
      'all calls',
      60_000,
    )
    assert.deepEqual([...new Set(all.flat())], ['redis'])
  })

  /** A loop that comes back finds deadlines that have passed, and the answers that came in time, unread. */
  describe('a loop that was blocked for 3 s finds no timeouts', () => {
    const UNHARMED = { storeErrors: 0, circuitOpened: 0 }
    const harm = ({ storeErrors, circuitOpened }) => ({ storeErrors, circuitOpened })

    test('of calls that were sent before', async (t) => {
      const limiter = limiterOn('loop', { timeout: 500 })
      t.after(() => limiter.close())
      await limiter.ready()
      const calls = Array.from({ length: 300 }, (_, index) => limiter.check(`key-${index}`))
      // Past the moment at which they are sent, and not so far that they are answered.
      await turn()
      block(3_000)
      assert.deepEqual(sourcesOf(await Promise.all(calls)), ['redis'])
      assert.deepEqual(harm(limiter.stats()), UNHARMED)
    })

    test('of calls that were not, and of calls that are made at once when it comes back', async (t) => {
      const limiter = limiterOn('loop', { timeout: 500 })
      t.after(() => limiter.close())
      await limiter.ready()
      const calls = Array.from({ length: 300 }, (_, index) => limiter.check(`key-${index}`))
      block(3_000)
      calls.push(limiter.check('another'))
      await turn()
      calls.push(...Array.from({ length: 300 }, (_, index) => limiter.check(`key-${index}`)))
      block(1_000)
      calls.push(limiter.check('a third'))
      assert.deepEqual(sourcesOf(await Promise.all(calls)), ['redis'])
      assert.deepEqual(harm(limiter.stats()), UNHARMED)
    })

    test('while it connects', async (t) => {
      const limiter = limiterOn('loop', { timeout: '2s' })
      t.after(() => limiter.close())
      for (let step = 0; step < 4; step += 1) {
        await turn()
        block(750)
      }
      await limiter.ready()
      assert.deepEqual(harm(limiter.stats()), UNHARMED)
    })

    test('again and again', async (t) => {
      const limiter = limiterOn('loop', { timeout: 200 })
      t.after(() => limiter.close())
      await limiter.ready()
      const calls = []
      for (let round = 0; round < 15; round += 1) {
        for (let index = 0; index < 20; index += 1) calls.push(limiter.check(`key-${index}`))
        block(250)
        await turn()
      }
      assert.deepEqual(sourcesOf(await Promise.all(calls)), ['redis'])
      assert.deepEqual(harm(limiter.stats()), UNHARMED)
    })
  })

  test('a loop that is blocked again and again still gives up on a Redis that is silent', async (t) => {
    const silent = await startRedis()
    t.after(() => silent.stop())
    const limiter = limiterOn('loop', { redisUrl: silent.url, timeout: 100, fallback: { limit: 1_000 } })
    t.after(() => limiter.close())
    await limiter.ready()
    silent.process.kill('SIGSTOP')
    t.after(() => silent.process.kill('SIGCONT'))
    const calls = Array.from({ length: 10 }, () => limiter.check('a'))
    let settled = 0
    for (const call of calls) call.then(() => (settled += 1))
    // Longer than anything is put off, and not longer than a call may take and a grace.
    for (let round = 0; round < 5 && settled < calls.length; round += 1) {
      block(150)
      await turn()
    }
    await until(() => settled === calls.length, 'all were decided here', 1_000)
    assert.deepEqual(sourcesOf(await Promise.all(calls)), ['fallback'])
  })

  test('what a continuation throws is the application’s, and nobody else’s', async () => {
    const end = await run(program('throwing.mjs'), { args: [redis.url], within: 60_000 })
    assertEnded(end, 'a program whose continuations throw')
    assert.equal(end.stdout, 'uncaught 10, decided 10 by redis\n')
  })

  test('a continuation finds the storage of whoever called', async (t) => {
    const limiter = limiterOn('loop')
    t.after(() => limiter.close())
    const storage = new AsyncLocalStorage()
    const found = await Promise.all(
      Array.from({ length: 20 }, (_, index) =>
        storage.run(index, async () => {
          await limiter.check('a')
          return storage.getStore()
        }),
      ),
    )
    assert.deepEqual(found, [...found.keys()])
  })

  test('what listeners are told, they are told on it', async (t) => {
    const own = await startRedis()
    t.after(() => own.stop())
    const limiter = limiterOn('loop', { redisUrl: own.url })
    t.after(() => limiter.close())
    const told = []
    limiter.on('storeDown', () => told.push('down')).on('storeUp', () => told.push('up'))
    await limiter.ready()
    await own.kill()
    await until(() => told.includes('down'), 'it was told that Redis is gone')
    await own.restart()
    await until(() => told.lastIndexOf('up') > told.indexOf('down'), 'it was told that Redis is back')
  })

  test('gives back what it has taken', { skip: !isLinux && 'descriptors are counted on Linux' }, async () => {
    const warm = limiterOn('loop')
    await warm.ready()
    const before = descriptors()
    for (let round = 0; round < 20; round += 1) {
      const limiters = Array.from({ length: 100 }, () => limiterOn('loop'))
      await Promise.all(limiters.map((limiter) => limiter.check('a')))
      await Promise.all(limiters.map((limiter) => limiter.close()))
    }
    await until(() => descriptors() <= before, 'the sockets of 2,000 limiters were closed')
    await warm.close()
  })
})

describe('both drivers', { timeout: atMost(120_000) }, () => {
  test('at once, in one process', async (t) => {
    const limiters = ['loop', 'thread', 'loop', 'thread'].map((driver) =>
      limiterOn(driver, { prefix: 'both', limit: 100 }),
    )
    t.after(() => Promise.all(limiters.map((limiter) => limiter.close())))
    const decisions = await Promise.all(
      limiters.flatMap((limiter) => Array.from({ length: 50 }, () => limiter.check('a'))),
    )
    assert.equal(decisions.filter(({ allowed }) => allowed).length, 100)
    assert.deepEqual(sourcesOf(decisions).sort(), ['redis'])
  })

  for (const driver of ['loop', 'thread']) {
    test(`threads are terminated in the midst of 1,024 calls, ${driver}`, async () => {
      const count = atMost(100)
      const args = [count, redis.url, driver, 1_024]
      const end = await run(program('workers.mjs'), { args, within: 60_000 + 200 * count })
      assertEnded(end, `a program that terminated its workers, ${driver}`)
      assert.equal(end.stdout, `terminated ${count}\n`)
    })

    test(`a process leaves in the midst of calls, or ends when they are answered, ${driver}`, async () => {
      for (const leaves of [0, 3, 150, 'never']) {
        const end = await run(program('exit.mjs'), { args: [7, leaves, redis.url, driver] })
        assertEnded(end, `a program that left with code 7, ${driver}`, 7)
      }
    })

    test(`limiters that are dropped without close() are collected, ${driver}`, async () => {
      const args = [100, redis.url, driver]
      const end = await run(program('dropped.mjs'), { args, nodeArgs: ['--expose-gc'], within: 60_000 })
      assertEnded(end, 'a program that waits until its limiters are collected')
      assert.equal(end.stdout, 'collected\n')
    })
  }
})
