/** `npx distributed-rate-limiter explain`: the same as a limiter of the application says, wherever its limits are said. */

import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, beforeEach, describe, test } from 'node:test'

import { startRedisCluster } from '../scripts/redis-cluster.mjs'
import { startRedis } from '../scripts/redis.mjs'
import { redisCommand } from '../scripts/resp.mjs'
import { cli, limitersOn, told, toldJson } from './support/cli.mjs'

const { sourceOf } = createRequire(import.meta.url)('../cli/limits/sources.js')

const DAY = { window: '1d' }
const HOUR = { window: '1h' }

const LIMITS = {
  limit: 10,
  ...DAY,
  overrides: { 'gold:*': { limit: 50, ...DAY } },
  allow: ['internal:*'],
  deny: ['mallory'],
  actions: { 'GET /u/:id': { limit: 3, ...HOUR } },
}

const FIELDS = {
  limits: [
    { name: 'address', by: 'ip', limit: 30, ...HOUR },
    { name: 'account', by: 'user', limit: 5, ...DAY, algorithm: 'token-bucket', burst: 6 },
    { name: 'next', by: 'user', limit: 2, ...DAY, shadow: true },
  ],
}

let redis
let folder
let env
before(async () => {
  redis = await startRedis()
  env = { REDIS_URL: redis.url }
  folder = mkdtempSync(join(tmpdir(), 'rate-limiter-explain-'))
})
after(async () => {
  rmSync(folder, { recursive: true })
  await redis.stop()
})
beforeEach(() => redisCommand(redis.port, 'FLUSHALL'))

const limiterFor = limitersOn(() => redis)
const explain = (...words) => told(['explain', ...words], { env })
const explainJson = (...words) => toldJson(['explain', ...words], { env })

function file(limits, name = 'limits.json') {
  const path = join(folder, name)
  writeFileSync(path, typeof limits === 'string' ? limits : JSON.stringify({ version: 1, ...limits }))
  return path
}

const everything = async () => {
  const keys = await redisCommand(redis.port, 'KEYS', '*')
  return Promise.all(keys.sort().map(async (key) => [key, await redisCommand(redis.port, 'DUMP', key)]))
}

/** What both sides say at any time: moments move on between them. */
const steady = ({ allowed, reason, from, pattern, limits }) => ({
  ...{ allowed, reason, from, pattern },
  limits: limits.map(({ resetAt, retryAfterMs, fullInMs, ...limit }) => limit),
})

describe('explain', { timeout: 120_000 }, () => {
  /** How each way of saying limits is used, after which `words` are what the command line has. */
  const WAYS = {
    'a file': async (_, limits) => ['--policies', file(limits)],
    'what a fleet shares': async (t, limits) => {
      const limiter = limiterFor(t, { limit: 1, window: '1s', policies: { shared: 'api' } })
      await limiter.publishPolicies({ ...limits, fallback: { share: 'fleet' } })
      return ['--shared', '--name', 'api']
    },
  }

  for (const [way, saidBy] of Object.entries(WAYS)) {
    test(`says what a limiter says, and takes nothing: ${way}`, async (t) => {
      const words = await saidBy(t, LIMITS)
      const limiter = limiterFor(t, LIMITS)
      for (const key of ['alice', 'gold:1', 'internal:cron', 'mallory']) {
        for (const action of [undefined, 'GET /u/7', 'other']) {
          const call = action && { action }
          for (let times = 0; times < 4; times += 1) await limiter.check(key, call)
          const before = await everything()
          const shown = await explainJson(key, ...words, ...(action ? ['--action', action] : []))
          assert.deepEqual(steady(shown), steady(await limiter.explain(key, call)), `${key} ${action}`)
          assert.equal(shown.key, key)
          for (const { resetAt, fullInMs } of shown.from.endsWith('-list') ? [] : shown.limits) {
            assert.ok(fullInMs > 0 && Math.abs(Date.now() + fullInMs - resetAt) < 10_000)
          }
          assert.deepEqual(await everything(), before)
        }
      }
    })
  }

  test('keys of several fields, limits that are tried, and a cost', async (t) => {
    const words = ['--policies', file(FIELDS), '--field', 'ip=192.0.2.1', '--field', 'user=a=b']
    const limiter = limiterFor(t, FIELDS)
    const key = { ip: '192.0.2.1', user: 'a=b' }
    await limiter.check(key, { cost: 2 })
    const shown = await explainJson(...words, '--cost', '5')
    assert.deepEqual(steady(shown), steady(await limiter.explain(key, { cost: 5 })))
    assert.deepEqual([shown.key, shown.allowed], [key, false])
    const { stdout } = await explain(...words, '--cost', '5')
    const lines = stdout.trimEnd().split('\n')
    assert.equal(lines[0], `ip = 192.0.2.1, user = a=b in ${redis.url}`)
    assert.match(lines[2], /^ {2}a call now {4}is refused, for \d+ h \d+ min more$/)
    assert.match(lines[3], /^ {2}by {12}the default, in .*limits\.json$/)
    assert.match(lines[5], /^LIMIT +ALGORITHM +OF +LEFT +A CALL NOW +FULL AGAIN$/)
    assert.match(lines[6], /^address by ip +sliding-window +30 in 1 h +28 of 30 +allowed +in /)
    assert.match(lines[7], /^account by user +token-bucket +5 in 1 d, burst 6 +4 of 6 +refused, for /)
    assert.match(lines[8], /^next by user, tried +sliding-window +2 in 1 d +0 of 2 +would refuse, for /)
  })

  test('the numbers of one limit, and of an action’s', async (t) => {
    const limiter = limiterFor(t, { limit: 9, ...DAY, actions: { up: { limit: 4, ...HOUR } } })
    await limiter.check('alice', { cost: 2 })
    await limiter.check('alice', { action: 'up' })
    const one = await explainJson('alice', '--limit', '9', '--window', '1d')
    const other = await explainJson('alice', '--limit', '4', '--window', '1h', '--action', 'up')
    assert.deepEqual([one.from, one.limits[0].remaining, one.policies], ['default', 7, undefined])
    assert.deepEqual([other.from, other.limits[0].remaining], ['action', 3])
  })

  test('a file that leaves the limit to the application, and one of YAML', async (t) => {
    await limiterFor(t, { limit: 7, ...DAY }).check('alice')
    const path = file("version: 1\noverrides:\n  'gold:*': { limit: 8, window: 1d }\n", 'limits.yaml')
    const { code, stderr } = await explain('alice', '--policies', path)
    assert.deepEqual([code, /leaves the limit to the application: give its --limit/.test(stderr)], [2, true])
    const shown = await explainJson('alice', '--policies', path, '--limit', '7', '--window', '1d')
    assert.deepEqual([shown.limits[0].limit, shown.limits[0].remaining, shown.policies.file], [7, 6, path])
  })

  test('a fallback that a fleet shares is left out: the tool would be counted among its instances', async () => {
    const fallback = { share: 'fleet' }
    const limits = { limit: 7, ...DAY, fallback, actions: { up: { limit: 2, ...DAY, fallback } } }
    const { options } = await sourceOf({ policies: file(limits) })()
    assert.deepEqual(options, { limit: 7, ...DAY, actions: { up: { limit: 2, ...DAY } } })
    const several = { limits: [{ name: 'one', limit: 7, ...DAY, fallback }] }
    assert.deepEqual((await sourceOf({ policies: file(several) })()).options, {
      limits: [{ name: 'one', limit: 7, ...DAY }],
    })
  })

  test('digests and tags, as the application has them', async (t) => {
    const secret = 's'.repeat(32)
    const limiter = limiterFor(t, { limit: 7, ...DAY, hashKeys: secret, hashTag: true })
    await limiter.check('alice', { cost: 3 })
    const words = ['alice', '--limit', '7', '--window', '1d', '--hash-keys-env', 'KEY_SECRET', '--hash-tag', 'true']
    const { limits } = await toldJson(['explain', ...words], { env: { ...env, KEY_SECRET: secret } })
    assert.equal(limits[0].remaining, 4)
  })

  test('which version of the fleet’s, and in words where each limit is from', async (t) => {
    const limiter = limiterFor(t, { limit: 1, window: '1s', policies: 'shared' })
    await limiter.publishPolicies({ limit: 2, ...DAY })
    const { version } = await limiter.publishPolicies(LIMITS)
    const { policies } = await explainJson('alice', '--shared')
    assert.deepEqual([policies.shared, policies.version], ['default', version])
    assert.equal(policies.publishedAt, limiter.sharedPolicies().publishedAt)
    for (const [words, expected] of [
      [['alice'], 'the default, in version 2 of the policies default'],
      [['alice', '--action', 'other'], "the default, since the action 'other' has no limit of its own, in version 2"],
      [['alice', '--action', 'GET /u/7'], "the limit of the action 'GET /u/:id', in version 2"],
      [['gold:7'], "the override of 'gold:*', in version 2"],
      [['internal:cron'], "the list of those who are never counted, as 'internal:*', in version 2"],
      [['mallory'], "the list of those who are always refused, as 'mallory', in version 2"],
    ]) {
      const { stdout } = await explain(...words, '--shared')
      assert.ok(stdout.includes(expected), stdout)
      assert.equal(stdout.includes('LEFT'), !expected.includes('list'), stdout)
    }
  })

  test('what is wrong is said, with the exit code of its kind', async () => {
    const good = ['--policies', file(LIMITS)]
    const [numbers, shared] = [['--limit', '5', '--window', '1h'], ['--shared']]
    for (const [words, code, expected] of [
      [good, 2, /explain needs a <key>, or each of its fields by --field/],
      [['a', '--field', 'b=c', ...good], 2, /explain needs a <key>, or/],
      [['a'], 2, /give --policies <file>, --shared, or --limit and --window/],
      [['a', '--limit', '5'], 2, /give both, or none/],
      [['a', '--limit', '0', '--window', '1h'], 2, /--limit must be a whole number/],
      [['a', ...numbers, '--algorithm', 'x'], 2, /--algorithm must be/],
      [['a', ...numbers, '--hash-tag', 'x'], 2, /hashTag: 'x'/],
      [['a', ...numbers, '--cost', 'x'], 2, /--cost must be/],
      [['a', ...numbers, '--cost', '6'], 2, /--cost must be/],
      [['a', ...numbers, ...shared], 2, /--shared and numbers of a limit were both given/],
      [['a', ...good, ...shared], 2, /--shared and --policies were both given/],
      [['a', '--name', 'x', ...good], 2, /--name is for --shared/],
      [['--field', 'x', ...good], 2, /--field must be name=value/],
      [['--field', 'x=y', ...good], 2, /key must be .*; fields are given by --field/],
      [['a', '--policies', 'limits.toml'], 2, /must end in \.yaml, \.yml or \.json/],
      [['a', '--policies', join('no', 'such.json')], 2, /the file cannot be read/],
      [['a', ...good, ...numbers], 1, /`limit` is said here and by the application/],
      [['a', '--policies', file({ limit: 0, ...DAY }, 'bad.json')], 1, /bad\.json:1:\d+: `limit` must be/],
      [['a', ...shared], 1, /No policies of the name default are stored/],
    ]) {
      const said = await explain(...words)
      assert.deepEqual([said.code, said.stdout], [code, ''], `${words}: ${said.stderr}`)
      assert.match(said.stderr, expected)
    }
    await redisCommand(
      redis.port,
      'HSET',
      'rl:policies:default',
      'version',
      '3',
      'document',
      '{}',
      'sum',
      'x',
      'at',
      '9',
    )
    assert.match((await explain('a', ...shared)).stderr, /version 3 of the policies was damaged/)
    await redisCommand(redis.port, 'SET', 'rl:default:sliding-window:a', 'nonsense')
    const foreign = await explain('a', ...numbers)
    assert.deepEqual([foreign.code, foreign.stdout], [1, ''])
  })

  test('as a process: colours where they are wanted, and nothing that moves a cursor', async (t) => {
    await limiterFor(t, LIMITS).check('alice')
    const words = ['explain', 'al\x1b[2Jice', '--policies', file(LIMITS)]
    const plain = await cli(words, { env: { ...env, NO_COLOR: '1' } })
    assert.equal(plain.code, 0, plain.stderr)
    assert.doesNotMatch(plain.stdout, /\x1b/)
    assert.match(plain.stdout, /^al\\x1b\[2Jice in /)
    const coloured = await cli(words, { env: { ...env, FORCE_COLOR: '1' } })
    assert.match(coloured.stdout, /\x1b\[32mallowed/)
    assert.doesNotMatch(coloured.stdout, /\x1b\[2J/)
  })

  test('on a cluster', async (t) => {
    const cluster = await startRedisCluster()
    t.after(() => cluster.stop())
    const on = { env: { REDIS_URL: cluster.nodes[0].url } }
    const limiter = limitersOn(() => cluster.nodes[0])(t, { ...LIMITS, cluster: true })
    for (const key of ['alice', 'gold:1', 'carol']) {
      await limiter.check(key, { cost: 4 })
      const { limits } = await toldJson(['explain', key, '--policies', file(LIMITS)], on)
      assert.equal(limits[0].limitNow - limits[0].remaining, 4)
    }
  })
})
