/** `update` to another algorithm on a cluster, of windows of the calendar, and by policies that processes share, one of which comes late. */

import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'

import { startRedisCluster } from '../scripts/redis-cluster.mjs'
import { startRedis } from '../scripts/redis.mjs'
import { ask, assertEnded, program, start } from './support/child.mjs'
import { assertDecision } from './support/decision.mjs'
import { allowedOf } from './support/face.mjs'
import { rejectionOf } from './support/refusal.mjs'
import { limiterOf, ownPrefix } from './support/stores.mjs'
import { until } from './support/wait.mjs'

const WINDOW = '30d'
const numbers = (algorithm, limit = 10, more = {}) => ({ algorithm, limit, window: WINDOW, ...more })
const ASKING = { timeout: '10s', onStoreError: 'throw' }
const KEYS = Array.from({ length: 20 }, (_, index) => `user:${index}`)

const ownOf = (t, options) => limiterOf(t, { prefix: ownPrefix(), ...options })

describe('another algorithm on a cluster', { timeout: 120_000 }, () => {
  let cluster
  before(async () => {
    cluster = await startRedisCluster()
  })
  after(() => cluster?.stop())
  const onCluster = (t, options) => ownOf(t, { ...ASKING, redisUrl: cluster.nodes.map(({ url }) => url), ...options })

  for (const hashTag of [true, false]) {
    test(`${hashTag ? 'with' : 'without'} hashTag what was consumed and held counts`, async (t) => {
      const limiter = onCluster(t, { ...numbers('sliding-window'), hashTag })
      const held = new Map()
      for (const key of KEYS) {
        await limiter.check(key, { cost: 4 })
        held.set(key, await limiter.reserve(key, { cost: 3, ttl: '1h' }))
      }
      limiter.update(numbers('token-bucket'))
      for (const key of KEYS) {
        assertDecision(await limiter.check(key, { cost: 4 }), { allowed: false })
        assertDecision(await limiter.check(key, { cost: 2 }), { allowed: true, remaining: 1 })
        const settled = await held.get(key).settle(1)
        assert.deepEqual([settled.remaining, settled.expired], [3, false], key)
      }
      if (hashTag) {
        const reservation = await limiter.reserve(KEYS[0], { cost: 3 })
        assert.equal(reservation.allowed, true)
        assert.equal((await reservation.settle(3)).remaining, 0)
      } else {
        const refused = await Promise.all(KEYS.map((key) => rejectionOf(() => limiter.reserve(key, { cost: 3 }), key)))
        assert.ok(refused.every(({ code }) => code === 'ERR_RATE_LIMIT_UNSUPPORTED'))
      }
      limiter.update(numbers('fixed-window'))
      for (const key of KEYS.slice(1)) assert.equal(await allowedOf(limiter, key, 9), 3, key)
    })
  }
})

describe('another algorithm', { timeout: 120_000 }, () => {
  let redis
  before(async () => {
    redis = await startRedis()
  })
  after(() => redis?.stop())

  const stores = { memory: () => ({}), redis: () => ({ ...ASKING, redisUrl: redis.url }) }
  if (process.platform === 'linux') stores.shared = () => ({ shared: `algo-fleet-${process.pid}`, maxMemory: '1mb' })
  const ofMonth = (limit) => ({ limit, window: { calendar: 'month' } })

  for (const [store, options] of Object.entries(stores)) {
    test(`from and to windows of the calendar, in ${store}`, async (t) => {
      for (const other of ['sliding-window', 'token-bucket', 'leaky-bucket']) {
        const limiter = ownOf(t, { ...options(), ...ofMonth(10) })
        await limiter.check('a', { cost: 7 })
        // A leaky bucket holds one unit beside those that wait.
        limiter.update(numbers(other, other === 'leaky-bucket' ? 9 : 10))
        assertDecision(await limiter.check('a', { cost: 2 }), { allowed: true, remaining: 1 })
        limiter.update(ofMonth(10))
        assert.equal(await allowedOf(limiter, 'a', 5), 1, `from a ${other}`)
      }
      const short = ownOf(t, { ...options(), ...ofMonth(10) })
      await short.check('a', { cost: 10 })
      short.update({ algorithm: 'sliding-window', limit: 5, window: '1m' })
      const { allowed, retryAfterMs } = await short.check('a')
      assert.equal(allowed, false)
      assert.ok(retryAfterMs > 0 && retryAfterMs <= 120_000, `${retryAfterMs}`)
      assert.deepEqual(short.stats().limits, { default: { allowed: 1, denied: 1 } }, 'one limit is counted')
    })
  }

  test('by a file of policies', async (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'algorithm-'))
    t.after(() => rmSync(folder, { recursive: true }))
    const file = join(folder, 'limits.json')
    const write = (algorithm) => writeFileSync(file, JSON.stringify({ version: 1, ...numbers(algorithm) }))
    write('fixed-window')
    const limiter = ownOf(t, { ...ASKING, redisUrl: redis.url, policies: file })
    assert.equal(await allowedOf(limiter, 'a', 7), 7)
    write('sliding-counter')
    await until(() => limiter.policies()[0].algorithm === 'sliding-counter', 'the file is read')
    assert.equal(await allowedOf(limiter, 'a', 7), 3)
  })

  test('by shared policies, while processes call and one comes late', async (t) => {
    const shared = { redisUrl: redis.url, prefix: ownPrefix(), policies: { shared: 'fleet' } }
    const options = { ...shared, ...numbers('sliding-window', 3_000), timeout: '30s', onStoreError: 'throw' }
    const all = []
    t.after(() => Promise.all(all.map((one) => one.stop('SIGKILL'))))
    const enter = async () => {
      const one = start(program('updated.mjs'), { args: [JSON.stringify(options), 'key'], within: 90_000 })
      all.push(one)
      await one.message()
    }
    const watcher = ownOf(t, options)
    await watcher.ready()
    const used = async () => 3_000 - (await watcher.peek('key')).remaining
    await Promise.all([enter(), enter()])
    await until(async () => (await used()) > 300, 'a part of the limit is used', 30_000)
    await watcher.publishPolicies(numbers('token-bucket', 3_000))
    await enter()
    await until(async () => (await used()) >= 3_000, 'all of it is used', 30_000)
    const reports = await Promise.all(all.map((one) => ask(one, { report: true })))
    assert.equal(
      reports.reduce((sum, { allowed }) => sum + allowed, 0),
      3_000,
    )
    for (const one of all) one.send({ end: true })
    for (const one of all) assertEnded(await one.ended, 'a process')
  })
})
