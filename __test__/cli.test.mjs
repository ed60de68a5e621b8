/** The command line: what each command says and does on a real Redis, how it ends, and what it never shows. */

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createRequire } from 'node:module'
import { readFileSync } from 'node:fs'
import { after, before, beforeEach, describe, test } from 'node:test'

import { RateLimiter } from 'distributed-rate-limiter'

import { freePort, startRedis } from '../scripts/redis.mjs'
import { redisCommand } from '../scripts/resp.mjs'
import { ALGORITHMS, BUCKETS } from './support/algorithms.mjs'
import { CLI, cli, startCli, told, toldJson } from './support/cli.mjs'
import { until } from './support/wait.mjs'

const require = createRequire(import.meta.url)
const { version } = require('../package.json')
const { globbed } = require('../cli/limits/names.js')

const COMMANDS = ['inspect', 'top', 'watch', 'block', 'unblock', 'reset', 'policies', 'validate', 'bench']

let redis
let env
before(async () => {
  redis = await startRedis()
  env = { REDIS_URL: redis.url }
})
after(() => redis.stop())
beforeEach(() => redisCommand(redis.port, 'FLUSHALL'))

/** A limiter on it whose calls Redis decides. */
function limiterFor(t, options) {
  const limiter = new RateLimiter({ redisUrl: redis.url, timeout: '10s', onStoreError: 'throw', ...options })
  t.after(() => limiter.close())
  return limiter
}

describe('help', () => {
  test('of the tool names each command', async () => {
    for (const args of [['--help'], ['-h'], ['help']]) {
      const { code, stdout, stderr } = await cli(args)
      assert.equal(code, 0)
      assert.equal(stderr, '')
      for (const command of COMMANDS) assert.match(stdout, new RegExp(`^  ${command}\\b.*[A-Z]`, 'm'))
    }
  })

  for (const command of COMMANDS) {
    test(`of ${command} names each of its options, and examples that are understood`, async () => {
      const { code, stdout, stderr } = await told([command, '--help'])
      assert.equal(code, 0)
      assert.equal(stderr, '')
      const { options, examples } = require(`../cli/commands/${command}.js`)
      for (const option of Object.keys(options)) assert.ok(stdout.includes(`--${option}`), option)
      for (const example of examples) assert.ok(stdout.includes(`npx distributed-rate-limiter ${example}`))
      assert.ok(Math.max(...stdout.split('\n').map((line) => line.length)) <= 100, 'no line is longer than 100 columns')
      assert.equal((await told(['help', command])).stdout, stdout)
      // With no Redis to ask none of them may fail for another reason than that.
      for (const example of examples.filter((text) => !/bench|--url/.test(text))) {
        const words = example
          .replace(/ >.*/, '')
          .match(/'[^']*'|\S+/g)
          .map((word) => word.replaceAll("'", ''))
        const { stderr: said } = await told(words)
        assert.match(said, /it must be said which Redis: set REDIS_URL/, example)
      }
    })
  }

  test('without a word of what is wanted is a usage error that helps', async () => {
    const { code, stdout } = await told([])
    assert.equal(code, 2)
    assert.match(stdout, /Commands/)
  })

  test('--version is that of the package', async () => {
    assert.deepEqual((({ code, stdout }) => ({ code, stdout }))(await told(['--version'])), {
      code: 0,
      stdout: `${version}\n`,
    })
  })
})

describe('what is not understood', () => {
  const rows = [
    [['blok'], /'blok' is no command: did you mean 'block'\?/],
    [['xyzzy'], /'xyzzy' is no command: there are inspect, top/],
    [['help', 'xyzzy'], /'xyzzy' is no command/],
    [['redis://:hunter2@h'], /the first word must be a command/],
    [['inspect'], /inspect needs <key>/, 'inspect'],
    [['inspect', ''], /a key must not be empty/, 'inspect'],
    [['block', 'a'], /block needs <key> <duration>/, 'block'],
    [['inspect', 'a', 'redis://:hunter2@h'], /inspect takes only <key>, but more was given/, 'inspect'],
    [['top', '--nope'], /Unknown option '--nope'$/m, 'top'],
    [['top', '--nope=hunter2'], /Unknown option '--nope'$/m, 'top'],
    [['top', '--json=hunter2'], /'--json' does not take an argument/, 'top'],
    [['top', '--prefix'], /'--prefix <value>' argument missing/, 'top'],
    [['top', '--prefix', ''], /--prefix must be 1 to 128 characters/, 'top'],
    [['top', '-n', '0'], /--number must be a whole number from 1 to 10000, but '0' was given/, 'top'],
    [['top', '--sample', '1.5'], /--sample must be a whole number/, 'top'],
    [['top', '--sort', 'size'], /--sort must be used or time, but 'size' was given/, 'top'],
    [['top', '--timeout', '5'], /--timeout must be a time such as 500ms, 5s or 1m, but '5' was given/, 'top'],
    [['top', '--timeout', '1h'], /--timeout must be a time/, 'top'],
    [['top', '--redis-url', 'hunter2'], /the Redis must be named by a URL like redis:/, 'top'],
    [['top', '--redis-url', 'redis://:hunter2 x@h:1 /'], /the URL of the Redis cannot be read/, 'top'],
    [['top', '--redis-url', 'http://:hunter2@h'], /the scheme 'http' is not known/, 'top'],
    [['inspect', 'a', '--limit', '5'], /at least --limit and --window/, 'inspect'],
    [['inspect', 'a', '--limit', 'x', '--window', '1m'], /--limit must be .* but the string 'x' was given/, 'inspect'],
    [['inspect', 'a', '--limit', '5', '--window', '1y'], /--window must be a duration .* with a unit.*'1y'/, 'inspect'],
    [
      ['inspect', 'a', '--limit', '5', '--window', '1m', '--algorithm', 'x'],
      /--algorithm must be .*'token-bucket'/,
      'inspect',
    ],
    [['inspect', 'a', '--limit', '5', '--window', '1m', '--burst', 'x'], /--burst must be/, 'inspect'],
    [['inspect', 'a', '--hash-keys-env', 'NOT_SET'], /--hash-keys-env names NOT_SET, which is not set/, 'inspect'],
    [['inspect', 'a', '--hash-keys-env', 'SHORT'], /--hashKeys must be a secret of 16/, 'inspect'],
    [['block', 'a', '1 fortnight'], /the duration must be a duration .*'1 fortnight'/, 'block'],
    [['block', 'a', '5000'], /the duration must be a duration .* with a unit/, 'block'],
    [['watch', '--every', 'x'], /--every must be a time/, 'watch'],
    [['watch', '--count', '0'], /--count must be a whole number/, 'watch'],
    [['watch', '--url', 'hunter2'], /--url must be where the dashboard is/, 'watch'],
    [['watch', '--url', 'ftp://h/'], /--url must begin with http/, 'watch'],
    [['watch', '--url', 'http://h', '--header', 'hunter2'], /--header must be a name and a value/, 'watch'],
    [['watch', '--url', 'http://h', '--redis-url', 'redis://h'], /give one of them/, 'watch'],
    [['bench', '--seconds', '0'], /--seconds must be a number above 0/, 'bench'],
    [['bench', '--driver', 'x'], /--driver must be .*'loop'/, 'bench'],
    [['bench', '--memory', '--redis-url', 'redis://h'], /give one of them/, 'bench'],
  ]
  test('ends the process with 2, and a failure with 1', async () => {
    const [usage, failure] = [
      await cli(['top', '--nope']),
      await cli(['top'], { env: { REDIS_URL: `redis://127.0.0.1:${await freePort()}` } }),
    ]
    assert.deepEqual([usage.code, usage.stdout, failure.code, failure.stdout], [2, '', 1, ''])
    assert.match(usage.stderr, /^error: Unknown option '--nope'\nTry: /)
    assert.match(failure.stderr, /^error: redis:.* cannot be reached: [^\n]*\n$/)
  })

  for (const [args, said, command] of rows) {
    test(args.join(' '), async () => {
      const { code, stdout, stderr } = await told(args, { env: { ...env, SHORT: 'hunter2' } })
      assert.equal(code, 2, stderr)
      assert.equal(stdout, '')
      assert.match(stderr, said)
      assert.ok(stderr.endsWith(`\nTry: npx distributed-rate-limiter ${command ? `${command} ` : ''}--help\n`), stderr)
      assert.doesNotMatch(stderr, /hunter2/)
    })
  }
})

describe('inspect', () => {
  const POLICIES = [
    ...ALGORITHMS.map((algorithm) => ({ algorithm, limit: 20, window: '1h' })),
    ...BUCKETS.map((algorithm) => ({ algorithm, limit: 20, window: '1h', burst: 7 })),
    ...ALGORITHMS.filter((name) => !BUCKETS.includes(name)).map((algorithm) => ({
      ...{ algorithm, limit: 5, window: '1h', burst: { extra: 10, window: '1d' } },
    })),
    { algorithm: 'sliding-window', limit: 20, window: '1h', resolution: 4 },
    { algorithm: 'fixed-window', limit: 20, window: '1h', align: true },
  ]
  const optionsOf = ({ algorithm, limit, window, burst, resolution, align }) => [
    ...['--algorithm', algorithm, '--limit', limit, '--window', window],
    ...(burst === undefined ? [] : ['--burst', typeof burst === 'object' ? `${burst.extra}/${burst.window}` : burst]),
    ...(resolution === undefined ? [] : ['--resolution', resolution]),
    ...(align ? ['--align'] : []),
  ]

  for (const policy of POLICIES) {
    test(`says what a call would be told: ${JSON.stringify(policy)}`, async (t) => {
      const limiter = limiterFor(t, policy)
      for (const [key, cost] of Object.entries({ some: 3, more: 6, all: 999, none: 0 })) {
        if (cost > 0)
          await limiter.check(key, cost === 999 ? { upTo: 999 > 20 ? undefined : cost, cost: undefined } : { cost })
        if (cost === 999) while ((await limiter.check(key)).allowed);
        const before = await limiter.peek(key)
        const { limits } = await toldJson(['inspect', key, ...optionsOf(policy)], { env })
        const after = await limiter.peek(key)
        assert.equal(limits.length, 1)
        const [{ allowed, limit, remaining, used, blocked, retryAfterMs }] = limits
        assert.equal(blocked, false)
        assert.equal(limit, before.limit)
        assert.equal(used, limit - remaining)
        // Between the two some may have come back.
        assert.ok(remaining >= before.remaining && remaining <= after.remaining, `${key}: ${remaining}`)
        assert.ok(allowed === before.allowed || allowed === after.allowed)
        assert.ok(retryAfterMs <= before.retryAfterMs && retryAfterMs >= after.retryAfterMs)
      }
    })

    test(`without the numbers says what can be known: ${JSON.stringify(policy)}`, async (t) => {
      const limiter = limiterFor(t, policy)
      await limiter.check('alice', { cost: 4 })
      const before = await limiter.peek('alice')
      const earlier = Date.now()
      const [seen] = (await toldJson(['inspect', 'alice'], { env })).limits
      const later = Date.now()
      assert.equal(seen.algorithm, policy.algorithm)
      assert.equal(seen.blocked, false)
      assert.equal(seen.limit, undefined)
      if (BUCKETS.includes(policy.algorithm)) {
        assert.equal(seen.used, undefined)
        assert.ok(seen.fullInMs <= before.resetAt - earlier + 2 && seen.fullInMs >= before.resetAt - later - 2)
      } else {
        assert.equal(seen.used, 4)
        assert.equal(seen.hasBurst ?? false, typeof policy.burst === 'object')
        assert.equal(seen.isBurstUsed ?? false, false)
        assert.equal(seen.fullInMs, undefined)
      }
      await limiter.block('alice', '2h')
      const [blocked] = (await toldJson(['inspect', 'alice'], { env })).limits
      assert.equal(blocked.blocked, true)
      assert.ok(blocked.blockedForMs > 7_100_000 && blocked.blockedForMs <= 7_200_000)
      const { stdout } = await told(['inspect', 'alice', ...optionsOf(policy)], { env })
      assert.match(stdout, /blocked +for (1 h 59 min|2 h) more: every call is refused/)
    })
  }

  test('a burst that is used is told apart from the windows', async (t) => {
    const limiter = limiterFor(t, { limit: 5, window: '1h', burst: { extra: 10, window: '1d' } })
    await limiter.check('alice', { cost: 8 })
    const [{ used, hasBurst, isBurstUsed }] = (await toldJson(['inspect', 'alice'], { env })).limits
    assert.deepEqual({ used, hasBurst, isBurstUsed }, { used: 5, hasBurst: true, isBurstUsed: true })
    const without = await told(['inspect', 'alice', '--limit', '5', '--window', '1h'], { env })
    assert.equal(without.code, 2)
    assert.match(without.stderr, /give --burst as units\/window/)
  })

  test('nothing is changed by it', async (t) => {
    const limiter = limiterFor(t, { limit: 20, window: '1h' })
    await limiter.check('alice', { cost: 4 })
    const name = 'rl:default:sliding-window:alice'
    const value = await redisCommand(redis.port, 'GETRANGE', name, 0, -1)
    await told(['inspect', 'alice'], { env })
    await told(['inspect', 'alice', '--limit', '2', '--window', '1s'], { env })
    await told(['top'], { env })
    await told(['watch', '--count', '1'], { env })
    assert.equal(await redisCommand(redis.port, 'GETRANGE', name, 0, -1), value)
    assert.deepEqual(await redisCommand(redis.port, 'KEYS', '*'), [name])
  })

  test('of two algorithms under one name it is asked whose the numbers are', async (t) => {
    for (const algorithm of ['token-bucket', 'fixed-window'])
      await limiterFor(t, { limit: 9, window: '1h', algorithm }).check('alice')
    const end = await told(['inspect', 'alice', '--limit', '9', '--window', '1h'], { env })
    assert.equal(end.code, 2)
    assert.match(end.stderr, /fixed-window, token-bucket: say by --algorithm/)
    const own = ['--limit', '9', '--window', '1h', '--algorithm', 'fixed-window']
    assert.equal((await toldJson(['inspect', 'alice', ...own], { env })).limits[0].remaining, 8)
  })

  test('whoever is not stored is said not to be, and has all of a limit whose numbers are given', async () => {
    const { code, stdout } = await told(['inspect', 'nobody'], { env })
    assert.equal(code, 0)
    assert.match(stdout, /Nothing is counted of nobody in redis:/)
    const named = await told(['inspect', 'nobody', '--limit-name', 'daily'], { env })
    assert.match(named.stdout, /Nothing is counted of nobody under the limit daily/)
    const fresh = await told(['inspect', 'nobody', '--limit', '5', '--window', '1m', '--algorithm', 'token-bucket'], {
      env,
    })
    assert.match(fresh.stdout, /used +0 of 5[\s\S]*stored as +nothing: it is as good as new/)
    assert.deepEqual(await redisCommand(redis.port, 'KEYS', '*'), [])
  })

  test('what another program has written is said to be no state', async () => {
    await redisCommand(redis.port, 'SET', 'rl:default:sliding-window:alice', 'hello')
    await redisCommand(redis.port, 'RPUSH', 'rl:default:token-bucket:alice', 'hello')
    const { limits } = await toldJson(['inspect', 'alice'], { env })
    assert.deepEqual(
      limits.map(({ isForeign }) => isForeign),
      [true, true],
    )
    const { code, stdout } = await told(['inspect', 'alice'], { env })
    assert.equal(code, 0)
    assert.match(stdout, /no state of this algorithm/)
  })
})

describe('every name that a limiter gives a key', () => {
  const AWKWARD = [
    'alice',
    'a:b',
    'b',
    '{a}',
    'a{b}c',
    '}',
    '100%',
    '%7B',
    '*',
    'a*',
    '?',
    '[a-z]',
    '\\',
    'ключ 日本',
    ' ',
    'x'.repeat(1_024),
    'x'.repeat(1_025),
    'default:sliding-window:b',
  ]
  const one = { limit: 9, window: '1h' }
  const rows = {
    'one limit': [{ ...one }, (key) => key, ['default']],
    'another prefix': [{ ...one, prefix: 'a[b]*:c' }, (key) => key, ['default'], ['--prefix', 'a[b]*:c']],
    'hashTag: true': [{ ...one, hashTag: true }, (key) => key, ['default']],
    hashKeys: [
      { ...one, hashKeys: 'at least sixteen characters' },
      (key) => key,
      ['default'],
      ['--hash-keys-env', 'SECRET'],
    ],
    'hashKeys and hashTag': [
      { ...one, hashTag: true, hashKeys: 'at least sixteen characters' },
      (key) => key,
      ['default'],
      ['--hash-keys-env', 'SECRET'],
    ],
    'several limits': [
      {
        limits: [
          { name: 'a', ...one },
          { name: 'b.c-d_e', ...one, algorithm: 'fixed-window' },
        ],
      },
      (key) => key,
      ['a', 'b.c-d_e'],
    ],
    fields: [
      {
        limits: [
          { name: 'u', by: 'user', ...one },
          { name: 'all', by: 'global', limit: 99, window: '1h' },
        ],
      },
      (user) => ({ user }),
      ['u'],
    ],
    "hashTag: 'field'": [
      { hashTag: 'tenant', limits: [{ name: 'u', by: 'user', ...one }] },
      (user) => ({ user, tenant: 't}1%' }),
      ['u'],
      ['--owner', 't}1%'],
    ],
  }

  for (const [what, [options, keyOf, limitNames, args = []]] of Object.entries(rows)) {
    test(`is found and forgotten, and nobody else's: ${what}`, async (t) => {
      const limiter = limiterFor(t, options)
      for (const key of AWKWARD) await limiter.check(keyOf(key))
      const with_ = { env: { ...env, SECRET: 'at least sixteen characters' } }
      const names = (limits) => limits.map(({ name }) => name).sort()
      for (const key of AWKWARD) {
        const { limits } = await toldJson(
          ['inspect', ...args, '--', key].filter((word) => word !== '--' || key.startsWith('-')),
          with_,
        )
        assert.deepEqual(names(limits), limitNames, `inspect ${key}`)
        for (const name of limitNames) {
          const direct = await toldJson(['inspect', key, ...args, '--limit-name', name], with_)
          assert.deepEqual(
            direct.limits.map(({ redisKey }) => redisKey),
            limits.filter((limit) => limit.name === name).map(({ redisKey }) => redisKey),
          )
        }
      }
      const size = await redisCommand(redis.port, 'DBSIZE')
      for (const [at, key] of AWKWARD.entries()) {
        const { limits } = await toldJson(['reset', key, ...args], with_)
        assert.deepEqual(names(limits), limitNames, `reset ${key}`)
        assert.equal(await redisCommand(redis.port, 'DBSIZE'), size - limitNames.length * (at + 1), `reset ${key}`)
      }
    })
  }

  test('actions are told apart, whatever signs they have', async (t) => {
    const limiter = limiterFor(t, { ...one, actions: { 'up:load': { limit: 5, window: '1h' } } })
    for (const action of ['up:load', 'a@b', '100%', '{x}']) await limiter.check('alice', { action })
    await limiter.check('alice')
    const actions = (await toldJson(['inspect', 'alice'], { env })).limits.map(({ action }) => action ?? '').sort()
    assert.deepEqual(actions, ['', '100%', 'a@b', 'up:load', '{x}'])
    assert.deepEqual(
      (await toldJson(['reset', 'alice', '--action', 'a@b'], { env })).limits.map(({ action }) => action),
      ['a@b'],
    )
    assert.equal((await limiter.peek('alice', { action: 'a@b' })).remaining, 9)
    assert.equal((await limiter.peek('alice', { action: '{x}' })).remaining, 8)
    assert.equal((await toldJson(['inspect', 'alice'], { env })).limits.length, 4)
  })

  test('new identities of a source can be looked at and forgotten', async (t) => {
    const limits = [{ name: 'user', by: 'user', limit: 9, window: '1h' }]
    const limiter = limiterFor(t, { limits, newKeys: { limit: 1, window: '1h', by: 'ip' } })
    await limiter.check({ user: 'alice', ip: '::1' })
    assert.equal((await limiter.check({ user: 'bob', ip: '::1' })).allowed, false)
    const [{ name, used }] = (await toldJson(['inspect', '::1'], { env })).limits
    assert.deepEqual({ name, used }, { name: 'newKeys', used: 1 })
    await told(['reset', '::1'], { env })
    assert.equal((await limiter.check({ user: 'bob', ip: '::1' })).allowed, true)
  })
})

describe('block, unblock, reset', () => {
  for (const policy of [
    { limit: 5, window: '1h' },
    { limit: 5, window: '1h', burst: { extra: 2, window: '1h' } },
    { algorithm: 'leaky-bucket', limit: 5, window: '1h' },
  ]) {
    test(`what was used stays used beneath a block: ${JSON.stringify(policy)}`, async (t) => {
      const limiter = limiterFor(t, { ...policy, denyCache: false })
      await limiter.check('alice', { cost: 2 })
      const { remaining } = await limiter.peek('alice')
      assert.match((await told(['block', 'alice', '1h'], { env })).stdout, /^Blocked alice for 1h: default\.\n$/)
      const { allowed, retryAfterMs } = await limiter.peek('alice')
      assert.equal(allowed, false)
      assert.ok(retryAfterMs > 3_500_000)
      assert.match((await told(['unblock', 'alice'], { env })).stdout, /^Unblocked alice: default\.\n$/)
      assert.equal((await limiter.peek('alice')).remaining, remaining)
      assert.match((await told(['reset', 'alice'], { env })).stdout, /^Forgot alice: default\.\n$/)
      assert.deepEqual(await redisCommand(redis.port, 'KEYS', 'rl:*'), [])
    })
  }

  test('all limits of a key, or the one that is named', async (t) => {
    const limiter = limiterFor(t, { limit: 5, window: '1h', denyCache: false })
    for (const action of [undefined, 'up', 'down']) await limiter.check('alice', { action })
    const allowed = async () => {
      const answers = [undefined, 'up', 'down'].map((action) => limiter.isAllowed('alice', { action }))
      return Promise.all(answers)
    }
    await told(['block', 'alice', '1h', '--action', 'up'], { env })
    assert.deepEqual(await allowed(), [true, false, true])
    await told(['block', 'alice', '1h'], { env })
    assert.deepEqual(await allowed(), [false, false, false])
    await told(['unblock', 'alice', '--limit-name', 'default'], { env })
    assert.deepEqual(await allowed(), [true, false, false])
  })

  test('processes that know a refusal hear of it at once', async (t) => {
    const limiter = limiterFor(t, { limit: 1, window: '1h', denyCache: '1m' })
    for (const change of [
      ['reset', 'alice'],
      ['unblock', 'alice'],
    ]) {
      await redisCommand(redis.port, 'FLUSHALL')
      await limiter.reset('alice')
      if (change[0] === 'unblock') await limiter.block('alice', '1h')
      else await limiter.check('alice')
      await until(async () => (await limiter.check('alice')).source === 'deny-cache', 'the refusal was known')
      // A message is heard by whoever listens already.
      await until(async () => (await redisCommand(redis.port, 'PUBSUB', 'NUMPAT')) > 0, 'it listened')
      assert.equal((await told(change, { env })).code, 0)
      await until(async () => (await limiter.check('alice')).allowed, `it has heard of ${change[0]}`)
    }
  })

  test('a key of which nothing is stored is blocked where it is said how it is called', async (t) => {
    const end = await told(['block', 'alice', '1h'], { env })
    assert.equal(end.code, 2)
    assert.match(end.stderr, /nothing is counted of alice yet, .*--limit-name .*--algorithm/)
    assert.equal((await told(['block', 'alice', '1h', '--limit-name', 'default'], { env })).code, 2)
    const named = ['--limit-name', 'default', '--algorithm', 'token-bucket']
    assert.equal((await told(['block', 'alice', '1h', ...named], { env })).code, 0)
    const limiter = limiterFor(t, { limit: 5, window: '1h', algorithm: 'token-bucket' })
    assert.equal(await limiter.isAllowed('alice'), false)
    await told(['unblock', 'alice'], { env })
    const { code, stdout } = await told(['reset', 'nobody'], { env })
    assert.equal(code, 0)
    assert.match(stdout, /Nothing is counted of nobody: there was nothing to do/)
  })
})

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

describe('what is shown', () => {
  const EVIL = 'x\x1b[2J\x07\r\n\u202eevil\u200b\u009b31m'

  test('of keys is harmless to a terminal, in words and in JSON', async (t) => {
    const limiter = limiterFor(t, { limit: 5, window: '1h' })
    await limiter.check(EVIL, { action: EVIL })
    await limiter.check(EVIL)
    // eslint-disable-next-line no-control-regex
    const harmful = /[\x00-\x09\x0b-\x1f\x7f-\x9f\u200b\u202e]/
    for (const args of [
      ['top'],
      ['watch', '--count', '1'],
      ['inspect', EVIL],
      ['block', EVIL, '1h'],
      ['reset', EVIL],
      ['inspect', EVIL],
    ]) {
      for (const more of [[], ['--json']]) {
        const { code, stdout, stderr } = await told([...args, ...more], { env })
        assert.equal(code, 0, stderr)
        assert.doesNotMatch(stdout, harmful, `${args[0]} ${more}`)
      }
      await limiter.check(EVIL, { action: EVIL }).catch(() => {})
    }
    const { top } = await toldJson(['top'], { env })
    assert.equal(top[0]?.key ?? EVIL, EVIL)
  })

  const SECRET = 'hunter2-hunter2-hunter2'

  test('never has a password, whatever goes wrong', async (t) => {
    const guarded = await startRedis({ args: ['--requirepass', SECRET] })
    t.after(() => guarded.stop())
    const nowhere = await freePort()
    const place = `127.0.0.1:${guarded.port}`
    const rows = [
      [`redis://:${SECRET}@${place}`, 0],
      [`redis://default:${SECRET}@${place}`, 0],
      [`redis://:wrong-${SECRET}@${place}`, 1, /WRONGPASS.*Look at the user and the password in the URL/],
      [`redis://somebody:${SECRET}@${place}`, 1, /WRONGPASS/],
      [`redis://${place}`, 1, /NOAUTH.*Put the password into the URL/],
      [`redis://:${SECRET}@${place}/99`, 1, /DB index is out of range/],
      [
        `redis://:${SECRET}@127.0.0.1:${nowhere}`,
        1,
        /cannot be reached: .*ECONNREFUSED.*Start it, or name another by --redis-url or REDIS_URL/,
      ],
      [`rediss://:${SECRET}@${place}`, 1],
      [`unix:///nowhere/redis.sock?pass=${SECRET}`, 1, /cannot be reached: .*ENOENT.*Look at the path in the URL/],
    ]
    const commands = [
      ['top'],
      ['inspect', 'a'],
      ['reset', 'a', '--json'],
      ['watch', '--count', '1'],
      ['bench', '--seconds', '0.05'],
    ]
    for (const [url, code, said = /^/] of rows) {
      for (const args of commands) {
        const byOption = await told([...args, '--redis-url', url, '--timeout', '2s'])
        const byEnvironment = await told([...args, '--timeout', '2s'], { env: { REDIS_URL: url } })
        for (const end of [byOption, byEnvironment]) {
          assert.equal(end.code, code, `${args[0]} ${url}: ${end.stderr}`)
          assert.doesNotMatch(end.stdout + end.stderr, /hunter2|^ +at /m)
          assert.match(end.stderr, said)
        }
      }
      const whole = await cli(['top', '--timeout', '2s'], { env: { REDIS_URL: url, NODE_DEBUG: 'net,tls' } })
      assert.equal(whole.code, code, whole.stderr)
      assert.doesNotMatch(whole.stdout + whole.stderr, /hunter2/)
    }
  })

  test('nor does a list of processes', async (t) => {
    const guarded = await startRedis({ args: ['--requirepass', SECRET] })
    t.after(() => guarded.stop())
    const running = startCli(['watch', '--redis-url', `redis://:${SECRET}@127.0.0.1:${guarded.port}`])
    t.after(() => running.stop('SIGKILL'))
    await until(() => running.said.stdout.includes('memory'), 'it has begun', 20_000)
    assert.doesNotMatch(readFileSync(`/proc/${running.pid}/cmdline`, 'latin1'), /hunter2/)
  })

  test('of a user with few rights says which is missing, and where they are written down', async (t) => {
    await redisCommand(redis.port, 'ACL', 'SETUSER', 'few', 'on', '>few', '~rl:*', '+get')
    t.after(() => redisCommand(redis.port, 'ACL', 'DELUSER', 'few'))
    const end = await told(['top', '--redis-url', `redis://few:few@127.0.0.1:${redis.port}`])
    assert.equal(end.code, 1)
    assert.match(end.stderr, /NOPERM .*'scan'.*docs\/cli\.md says which a command needs/)
  })
})

describe('bench', () => {
  test('in memory, with what was refused', async () => {
    const seen = await toldJson([
      'bench',
      '--seconds',
      '0.2',
      '--keys',
      '1',
      '--limit',
      '5',
      '--window',
      '1h',
      '--in-flight',
      '3',
    ])
    assert.equal(seen.store, 'memory')
    // The five were taken while it was getting warm.
    assert.deepEqual([seen.allowed, seen.failed, seen.denied], [0, 0, seen.calls])
    assert.deepEqual(seen.sources, { memory: seen.sources.memory })
    assert.ok(seen.calls > 0 && seen.callsPerSecond > 0)
    const { p50, p99, p999, max } = seen.latencyMs
    assert.ok(p50 > 0 && p50 <= p99 && p99 <= p999 && p999 <= max)
  })

  test("on Redis, and leaves nothing and nobody else's keys alone", async () => {
    await redisCommand(redis.port, 'SET', 'rl-benchmark', 'x')
    for (const algorithm of ALGORITHMS) {
      const seen = await toldJson(['bench', '--seconds', '0.1', '--keys', '30', '--algorithm', algorithm], { env })
      assert.deepEqual(
        Object.keys(seen.sources).filter((name) => name !== 'redis' && name !== 'deny-cache'),
        [],
      )
      assert.equal(seen.store, redis.url)
      assert.equal(seen.algorithm, algorithm)
    }
    assert.deepEqual(await redisCommand(redis.port, 'KEYS', '*'), ['rl-benchmark'])
    const { code, stdout } = await told(['bench', '--seconds', '0.1', '--memory'], { env })
    assert.equal(code, 0)
    assert.match(stdout, /^memory, sliding-window, 100 in 1m, 10,000 keys, 256 in flight/)
    assert.match(stdout, /^ +calls\/s +[\d,]+\n +p50 +[\d.]+ ms\n +p99 +[\d.]+ ms\n/m)
  })

  test('that is interrupted says what it has measured, and leaves nothing either', async () => {
    const running = startCli(['bench', '--seconds', '60'], { env })
    await until(async () => (await redisCommand(redis.port, 'DBSIZE')) > 1_000, 'it was at work')
    // Until it is warm there is nothing to be said.
    const began = performance.now()
    await until(() => performance.now() - began > 1_500, 'it was warm')
    const { code, stdout, stderr } = await running.stop('SIGINT')
    assert.equal(code, 130, stderr)
    assert.match(stdout, /calls\/s/)
    assert.deepEqual(await redisCommand(redis.port, 'KEYS', '*'), [])
  })
})
