/** The command line: what it says of itself and of what it does not understand, how it ends, what it never shows, and what it measures. */

import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import { readFileSync } from 'node:fs'
import { after, before, beforeEach, describe, test } from 'node:test'

import { freePort, startRedis } from '../scripts/redis.mjs'
import { redisCommand } from '../scripts/resp.mjs'
import { ALGORITHMS } from './support/algorithms.mjs'
import { cli, limitersOn, startCli, told, toldJson } from './support/cli.mjs'
import { until } from './support/wait.mjs'

const require = createRequire(import.meta.url)
const { version } = require('../package.json')

const COMMANDS = ['inspect', 'top', 'watch', 'block', 'unblock', 'reset', 'policies', 'validate', 'bench']

let redis
let env
before(async () => {
  redis = await startRedis()
  env = { REDIS_URL: redis.url }
})
after(() => redis.stop())
beforeEach(() => redisCommand(redis.port, 'FLUSHALL'))

const limiterFor = limitersOn(() => redis)

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
      // With no Redis to ask none of them may fail for another reason than that, or that the file is not there that it names.
      for (const example of examples.filter((text) => !/bench|--url/.test(text))) {
        const words = example
          .replace(/ >.*/, '')
          .match(/'[^']*'|\S+/g)
          .map((word) => word.replaceAll("'", ''))
        const { stderr: said } = await told(words)
        const isOfFile = /\.(?:json|yaml)/.test(example)
        assert.match(
          said,
          isOfFile ? /the file cannot be read: ENOENT/ : /it must be said which Redis: set REDIS_URL/,
          example,
        )
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
    [['xyzzy'], /'xyzzy' is no command: there are inspect, explain, top/],
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
    [['inspect', 'a', '--hash-keys-env', 'SHORT'], /--hash-keys must be a secret of 16/, 'inspect'],
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
    // Those that were in flight when it began are decided then, and are none of the calls that were measured.
    assert.ok(Math.abs(seen.sources.memory - seen.calls) <= 3, `${seen.sources.memory} of ${seen.calls}`)
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
