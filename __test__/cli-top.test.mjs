/** The command line on all keys: who uses most, who is blocked, and what each limit counts. */

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createRequire } from 'node:module'
import { after, before, beforeEach, describe, test } from 'node:test'

import { startRedis } from '../scripts/redis.mjs'
import { redisCommand } from '../scripts/resp.mjs'
import { CLI, limitersOn, told, toldJson } from './support/cli.mjs'

const require = createRequire(import.meta.url)
const { Census } = require('../cli/limits/census.js')
const { globbed } = require('../cli/limits/names.js')

let redis
let env
before(async () => {
  redis = await startRedis()
  env = { REDIS_URL: redis.url }
})
after(() => redis.stop())
beforeEach(() => redisCommand(redis.port, 'FLUSHALL'))

const limiterFor = limitersOn(() => redis)

describe('top', () => {
  test('those that use most, those that are blocked, and what each limit counts', async (t) => {
    const windows = limiterFor(t, { limit: 1_000, window: '1h' })
    const buckets = limiterFor(t, { limit: 10, window: '1h', algorithm: 'token-bucket' })
    const burst = limiterFor(t, {
      limits: [{ name: 'other', limit: 5, window: '1h', burst: { extra: 10, window: '1d' } }],
    })
    await Promise.all(Array.from({ length: 200 }, (_, at) => windows.check(`user:${at}`, { cost: at + 1 })))
    for (const [key, cost] of [
      ['slow', 9],
      ['quick', 1],
    ])
      await buckets.check(key, { cost })
    await burst.check('user:7', { cost: 8 })
    await windows.block('mallory', '1d')
    await windows.block('user:3', '1h')
    await redisCommand(redis.port, 'SET', 'rl:default:sliding-window:foreign', 'hello')
    await redisCommand(redis.port, 'SET', 'rl:fleet', 'no limit')
    await redisCommand(redis.port, 'SET', 'something else', 'x')
    const seen = await toldJson(['top', '-n', '3'], { env })
    assert.deepEqual(
      seen.top.map(({ key, used }) => [key, used]),
      [
        ['user:199', 200],
        ['user:198', 199],
        ['user:197', 198],
      ],
    )
    assert.deepEqual(
      seen.blocked.map(({ key }) => key),
      ['mallory', 'user:3'],
    )
    assert.deepEqual([seen.keys, seen.blockedKeys, seen.foreignKeys, seen.isWhole], [205, 2, 1, true])
    assert.deepEqual(seen.limits, [
      { name: 'default', algorithm: 'sliding-window', keys: 201, used: 20_100 - 4, blocked: 2 },
      { name: 'default', algorithm: 'token-bucket', keys: 2, blocked: 0 },
      { name: 'other', algorithm: 'sliding-window', keys: 1, used: 5, blocked: 0 },
    ])
    const few = await toldJson(['top', '--algorithm', 'token-bucket'], { env })
    assert.deepEqual(
      few.top.map(({ key }) => key),
      ['slow', 'quick'],
    )
    const { stdout } = await told(['top', '-n', '1'], { env })
    assert.match(stdout, /^205 keys in redis:.*, all of them\n/)
    assert.match(stdout, /^user:199 +default +200 +within 1 h/m)
    assert.match(stdout, /^mallory +default +(23 h 59 min|1 d) more\nand 1 more\n/m)
    assert.match(stdout, /^One key holds no state of the limiter/m)
  })

  test('only keys that are like a pattern, of one limit or action', async (t) => {
    const limiter = limiterFor(t, { limit: 1_000, window: '1h' })
    for (const key of ['user:1', 'user:2', 'other:user:1', 'ab', 'a{b', 'xay']) await limiter.check(key)
    await limiter.check('user:9', { action: 'up' })
    const keys = async (...args) => (await toldJson(['top', ...args], { env })).top.map(({ key }) => key).sort()
    assert.deepEqual(await keys('--match', 'user:*'), ['user:1', 'user:2', 'user:9'])
    assert.deepEqual(await keys('--match', 'user:*', '--action', 'up'), ['user:9'])
    assert.deepEqual(await keys('--match', 'user:[13-9]', '--limit-name', 'default'), ['user:1'])
    assert.deepEqual(await keys('--match', 'a?'), ['ab'])
    assert.deepEqual(await keys('--match', 'a{b'), ['a{b'])
    assert.deepEqual(await keys('--match', 'nobody'), [])
  })

  test('patterns match as those of Redis do', async () => {
    const texts = ['', 'a', 'ab', 'a.b', 'a*b', '[x]', 'x', '^', ']', 'a\nb', 'äb', '\\']
    const globs = ['*', 'a*', '?', 'a?b', 'a.b', 'a\\*b', '\\[x\\]', '[xa]', '[^a]', '[a-c]*', '(a|b)', 'ä?', '+']
    for (const glob of globs) {
      await redisCommand(redis.port, 'FLUSHALL')
      for (const text of texts.filter(Boolean)) await redisCommand(redis.port, 'SET', text, '')
      const found = await redisCommand(redis.port, 'KEYS', glob)
      const ascii = texts.filter((text) => text && !/[^\0-\x7f]/.test(text))
      const here = ascii.filter((text) => globbed(glob).test(text))
      assert.deepEqual(here.sort(), found.filter((text) => ascii.includes(text)).sort(), glob)
    }
  })

  test('a key that SCAN gives twice is listed once', () => {
    const census = new Census({ most: 3 })
    const entry = (key) => ({ raw: Buffer.from(key), name: 'default', algorithm: 'fixed-window' })
    for (const [key, used] of Object.entries({ a: 1, b: 2 })) {
      for (let time = 0; time < 2; time += 1) census.add(entry(key), { used, blockedForMs: 0 })
    }
    assert.deepEqual(
      census.top.map(({ used }) => used),
      [2, 1],
    )
  })

  test('by time, and of a sample', async (t) => {
    for (const [name, window] of [
      ['long', '1d'],
      ['short', '1m'],
      ['middle', '1h'],
    ]) {
      await limiterFor(t, { limits: [{ name, limit: 5, window }] }).check(name)
    }
    const byTime = await toldJson(['top', '--sort', 'time'], { env })
    assert.deepEqual(
      byTime.top.map(({ key }) => key),
      ['long', 'middle', 'short'],
    )
    const limiter = limiterFor(t, { limit: 5, window: '1h' })
    await Promise.all(Array.from({ length: 3_000 }, (_, at) => limiter.isAllowed(`user:${at}`)))
    const sample = await toldJson(['top', '--sample', '100'], { env })
    assert.equal(sample.isWhole, false)
    assert.ok(sample.keys >= 100 && sample.keys < 3_000, `${sample.keys}`)
    assert.match((await told(['top', '--sample', '100'], { env })).stdout, /a sample: the rest was not looked at/)
  })

  test('whoever reads only the beginning is not answered with an error', async (t) => {
    const limiter = limiterFor(t, { limit: 5, window: '1h' })
    await Promise.all(Array.from({ length: 3_000 }, (_, at) => limiter.isAllowed(`user:${at}`)))
    const command = `set -o pipefail; '${process.execPath}' '${CLI}' top -n 3000 | head -n 1; '${process.execPath}' '${CLI}' watch --every 10ms | head -n 2`
    const shell = spawn('bash', ['-c', command], { env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'pipe'] })
    let [stdout, stderr] = ['', '']
    shell.stdout.on('data', (text) => (stdout += text))
    shell.stderr.on('data', (text) => (stderr += text))
    const [code] = await once(shell, 'close')
    assert.equal(stderr, '')
    assert.equal(code, 0)
    assert.equal(stdout.trim().split('\n').length, 3)
  })
})
