/** Trials that begin and end while a limiter runs: by an update, a file or what a fleet shares. What is known without asking is not used meanwhile. */

import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'

import { RateLimiter } from 'distributed-rate-limiter'

import { startRedis } from '../scripts/redis.mjs'
import { assertEnded, program, start } from './support/child.mjs'
import { told } from './support/cli.mjs'
import { atMost } from './support/long.mjs'
import { thrownBy } from './support/refusal.mjs'
import { maker, makers } from './support/stores.mjs'
import { until } from './support/wait.mjs'

const DAY = { window: '1d' }

let redis
before(async () => {
  redis = await startRedis()
})
after(() => redis?.stop())

const makeKnowing = maker(() => ({ redisUrl: redis.url, denyCache: '1m' }))

/** Uses a key up, and has its refusal known. */
async function refuse(limiter, key) {
  while (await limiter.isAllowed(key));
  await until(async () => (await limiter.check(key)).source === 'deny-cache', 'the refusal is known')
}

describe('refusals that are known', { timeout: atMost(60_000) }, () => {
  test('are not used of a call that is tried, and are again when the trial has ended', async (t) => {
    const limiter = makeKnowing(t, { limit: 2, ...DAY })
    await refuse(limiter, 'a')
    limiter.update({ limit: 2, ...DAY, candidate: { limit: 5, ...DAY } })
    const before = limiter.stats().sources['deny-cache']
    for (let call = 0; call < 10; call += 1) {
      const { allowed, source, shadow } = await limiter.check('a')
      assert.deepEqual([allowed, source, shadow[0].allowed], [false, 'redis', call < 5])
    }
    assert.equal(await limiter.isAllowed('a'), false)
    assert.deepEqual(limiter.stats().shadow.candidate, { agreed: 6, wouldDeny: 0, wouldAllow: 5 })
    assert.equal(limiter.stats().sources['deny-cache'], before)
    limiter.update({ limit: 2, ...DAY })
    await refuse(limiter, 'a')
    assert.deepEqual(limiter.stats().shadow.candidate, { agreed: 6, wouldDeny: 0, wouldAllow: 5 }, 'nothing is tried')
  })

  test('from before a trial are forgotten: who was freed meanwhile is admitted after it', async (t) => {
    const limiter = makeKnowing(t, { limit: 1, ...DAY, prefix: 'freed' })
    const other = makeKnowing(t, { limit: 1, ...DAY, prefix: 'freed' })
    await refuse(limiter, 'a')
    limiter.update({ limit: 1, ...DAY, candidate: { limit: 1, ...DAY } })
    await other.reset('a')
    limiter.update({ limit: 1, ...DAY })
    assert.equal(await limiter.isAllowed('a'), true)
  })

  test('refuse nobody whose limit is tried as a whole, also where the refusal arrives late', async (t) => {
    const limiter = makeKnowing(t, { limit: 1, ...DAY })
    await refuse(limiter, 'a')
    await limiter.isAllowed('b')
    // Decided under the limit in force, and answered when it is not.
    const late = Array.from({ length: 8 }, () => limiter.isAllowed('b'))
    limiter.update({ limit: 1, ...DAY, shadow: true })
    assert.equal((await limiter.check('a')).allowed, true)
    assert.deepEqual(new Set(await Promise.all(late)), new Set([false]))
    assert.deepEqual(
      [await limiter.isAllowed('b'), (await limiter.check('b')).source, await limiter.isAllowed('a')],
      [true, 'redis', true],
    )
    limiter.update({ limit: 1, ...DAY })
    await refuse(limiter, 'b')
  })

  test('are known of an action that is not tried', async (t) => {
    const actions = { login: { limit: 1, ...DAY } }
    const limiter = makeKnowing(t, { limit: 5, ...DAY, candidate: { limit: 1, ...DAY }, actions })
    const check = () => limiter.check('a', { action: 'login' })
    await check()
    await until(async () => (await check()).source === 'deny-cache', 'the refusal is known')
    assert.equal((await limiter.check('a')).source, 'redis')
  })
})

describe('units that are leased', { timeout: atMost(60_000) }, () => {
  const OWN = { limit: 100_000, ...DAY }
  const makeLeasing = maker(() => ({ ...OWN, redisUrl: redis.url, lease: { max: 100, ttl: '1m' } }))

  async function heat(limiter) {
    await until(async () => {
      for (let call = 0; call < 50; call += 1) if ((await limiter.check('hot')).source === 'lease') return true
    }, 'a lease decides')
  }

  for (const [what, trial] of [
    ['a candidate', { candidate: { limit: 100_000, ...DAY, algorithm: 'fixed-window' } }],
    ['the limit itself', { shadow: true }],
  ]) {
    test(`decide no call that is tried, and are given back: ${what}`, async (t) => {
      const limiter = makeLeasing(t)
      await heat(limiter)
      limiter.update({ ...OWN, ...trial })
      const { allowed, sources } = limiter.stats()
      const left = async () => (await limiter.peek('hot')).remaining
      await until(async () => (await left()) === OWN.limit - allowed, 'what was not used is given back')
      for (let call = 0; call < 50; call += 1) {
        const decision = await limiter.check('hot')
        assert.deepEqual([decision.allowed, decision.source], [true, 'redis'])
      }
      assert.equal(limiter.stats().sources.lease, sources.lease)
      const [counted] = Object.values(limiter.stats().shadow)
      assert.deepEqual(counted, { agreed: 50, wouldDeny: 0, wouldAllow: 0 })
      limiter.update(OWN)
      await heat(limiter)
    })
  }

  test('are leased again after a trial with which the limiter began', async (t) => {
    const limiter = makeLeasing(t, { candidate: { limit: 1, ...DAY } })
    for (let call = 0; call < 50; call += 1) assert.equal((await limiter.check('hot')).source, 'redis')
    limiter.update(OWN)
    await heat(limiter)
  })
})

for (const [store, make] of Object.entries(makers(() => redis))) {
  describe(`numbers of their own, beside a candidate, ${store}`, { timeout: atMost(60_000) }, () => {
    test('stay, and are not tried: by configure, an override and the call', async (t) => {
      const limiter = make(t, { limit: 9, ...DAY })
      limiter.configure('own', { limit: 1, ...DAY })
      const document = { limit: 9, ...DAY, overrides: { 'gold:*': { limit: 2, ...DAY } } }
      limiter.update({ ...document, candidate: { limit: 5, ...DAY } })
      limiter.configure('later', { limit: 3, ...DAY })
      const check = async (key, options) => {
        const decision = await limiter.check(key, options)
        return [decision.limit, decision.shadow?.[0].limit]
      }
      assert.deepEqual(await check('own'), [1, undefined])
      assert.equal(await limiter.isAllowed('own'), false, 'not by the limit of everybody')
      assert.deepEqual(await check('later'), [3, undefined])
      assert.deepEqual(await check('gold:a'), [2, undefined])
      assert.deepEqual(await check('call', { limit: 4, ...DAY }), [4, undefined])
      assert.deepEqual(await check('other'), [9, 5])
      limiter.configure('own', null)
      assert.deepEqual(await check('own'), [9, 5])
      assert.deepEqual(limiter.stats().shadow.candidate, { agreed: 2, wouldDeny: 0, wouldAllow: 0 })
      limiter.update(document)
      assert.deepEqual(await check('later'), [3, undefined])
    })

    test('a trial that begins again has what it had counted', async (t) => {
      const limiter = make(t, { limit: 9, ...DAY })
      const trial = { limit: 9, ...DAY, candidate: { limit: 1, ...DAY } }
      for (const expected of [true, false]) {
        limiter.update(trial)
        assert.equal((await limiter.check('a')).shadow[0].allowed, expected)
        limiter.update({ limit: 9, ...DAY })
        assert.equal((await limiter.check('a')).shadow, undefined)
      }
      assert.deepEqual(limiter.stats().shadow, { candidate: { agreed: 1, wouldDeny: 1, wouldAllow: 0 } })
      // Under another algorithm it begins anew.
      limiter.update({ ...trial, candidate: { limit: 1, ...DAY, algorithm: 'token-bucket' } })
      assert.equal((await limiter.check('a')).shadow[0].allowed, true)
    })
  })
}

describe('a store that has no place for trials', () => {
  const cacheClient = { get() {}, set() {}, incrementAndGet() {}, decrementAndGet() {} }
  for (const [what, trial] of [
    ['a candidate', { candidate: { limit: 1, ...DAY } }],
    ['a limit that is tried', { shadow: true }],
  ]) {
    test(`refuses an update with ${what}, and nothing changes: a cache`, (t) => {
      const limiter = new RateLimiter({ limit: 1, ...DAY, cacheClient })
      t.after(() => limiter.close())
      const error = thrownBy(() => limiter.update({ limit: 2, ...DAY, ...trial }), what)
      assert.equal(error.code, 'ERR_RATE_LIMIT_UNSUPPORTED')
      assert.equal(limiter.policies()[0].limit, 1)
    })
  }
})

describe('a file', { timeout: atMost(60_000) }, () => {
  const folder = mkdtempSync(join(tmpdir(), 'trials-'))
  after(() => rmSync(folder, { recursive: true }))
  const roles = (limiter) => limiter.policies().map(({ role }) => role)

  test('begins a trial and ends it, beside what the application says', async (t) => {
    const path = join(folder, 'limits.yaml')
    const end = () => writeFileSync(path, 'version: 1\ndeny: [mallory]\n')
    end()
    const limiter = new RateLimiter({ limit: 5, ...DAY, policies: path })
    t.after(() => limiter.close())
    limiter.on('policiesInvalid', (error) => assert.fail(error))
    assert.equal((await limiter.check('a')).shadow, undefined)
    writeFileSync(path, 'version: 1\ncandidate: { limit: 1, window: 1d }\n')
    await until(() => roles(limiter).includes('candidate'), 'the trial begins', 10_000)
    for (let call = 0; call < 2; call += 1) await limiter.isAllowed('a')
    assert.deepEqual(limiter.stats().shadow, { candidate: { agreed: 1, wouldDeny: 1, wouldAllow: 0 } })
    end()
    await until(() => !roles(limiter).includes('candidate'), 'the trial ends', 10_000)
    assert.equal((await limiter.check('a')).shadow, undefined)
    writeFileSync(path, 'version: 1\nshadow: true\n')
    await until(() => roles(limiter).includes('shadow'), 'all is tried', 10_000)
    for (let call = 0; call < 6; call += 1) assert.equal(await limiter.isAllowed('a'), true)
  })

  test('is begun with, and keeps the trial that the application says', async (t) => {
    const path = join(folder, 'several.yaml')
    const text = (limit) =>
      `version: 1\nlimits:\n  - { name: in-force, limit: ${limit}, window: 1d }\n  - { name: next, limit: 1, window: 1d, shadow: true }\n`
    writeFileSync(path, text(5))
    const limiter = new RateLimiter({ policies: path })
    t.after(() => limiter.close())
    assert.deepEqual(roles(limiter), [undefined, 'shadow'])
    const beside = join(folder, 'beside.yaml')
    writeFileSync(beside, 'version: 1\nlimit: 5\nwindow: 1d\n')
    const other = new RateLimiter({ policies: beside, candidate: { limit: 1, ...DAY } })
    t.after(() => other.close())
    writeFileSync(beside, 'version: 1\nlimit: 6\nwindow: 1d\n')
    await until(() => other.policies()[0].limit === 6, 'the change is in force', 10_000)
    assert.deepEqual(roles(other), [undefined, 'candidate'])
  })

  for (const [what, text, line, column, field, says] of [
    ['a candidate without a window', 'candidate: { limit: 1 }', 4, 1, 'candidate', /`candidate.window`/],
    [
      'a candidate with a fallback',
      'candidate: { limit: 1, window: 1m, fallback: {} }',
      4,
      36,
      'candidate.fallback',
      /fallback/,
    ],
    ['a shadow that is a word', "shadow: 'yes'", 4, 1, 'shadow', /true or false/],
    ['both', 'shadow: true\ncandidate: { limit: 1, window: 1m }', 5, 1, 'candidate', /`candidate` .* `shadow`/],
  ]) {
    test(`is validated: ${what}`, async () => {
      const path = join(folder, 'wrong.yaml')
      writeFileSync(path, `version: 1\nlimit: 5\nwindow: 1d\n${text}\n`)
      const { code, stdout } = await told(['validate', path, '--json'])
      assert.equal(code, 1)
      const [problem, ...others] = JSON.parse(stdout).problems
      assert.deepEqual([problem.line, problem.column, problem.field, others], [line, column, field, []])
      assert.match(problem.message, says)
    })
  }
})

describe('what a fleet shares', { timeout: atMost(120_000) }, () => {
  const OWN = { limit: 5, ...DAY }

  /** A process of the fleet, of which every message is kept. */
  async function member(t, options) {
    const child = start(program('trial-member.mjs'), { args: [JSON.stringify(options)], within: 90_000 })
    t.after(() => child.stop('SIGKILL'))
    const messages = []
    child.listen((message) => messages.push(message))
    const heard = async (fits, what) => {
      await until(() => messages.some(fits), what, 30_000)
      return messages.splice(messages.findIndex(fits), 1)[0]
    }
    await heard(({ ready }) => ready, 'it is ready')
    return {
      at: (version) => heard((message) => message.version === version, `version ${version} is in force`),
      ask: (key, calls) => {
        child.send({ key, calls })
        return heard(({ allowed }) => allowed !== undefined, 'it has asked')
      },
      end: async () => {
        child.send({})
        assertEnded(await child.ended, 'a process of the fleet')
        assert.deepEqual(
          messages.filter(({ invalid }) => invalid !== undefined),
          [],
        )
      },
    }
  }

  test('begins a trial in all processes by one publication, and ends it by another', async (t) => {
    // Known refusals are on in each of them, as by default.
    const options = {
      ...OWN,
      redisUrl: redis.url,
      timeout: '30s',
      onStoreError: 'throw',
      policies: { shared: 'trial' },
    }
    const members = await Promise.all([member(t, options), member(t, options)])
    const [one, other] = members
    const publisher = new RateLimiter({ ...options, denyCache: '1m' })
    t.after(() => publisher.close())
    const publish = async (document, version) => {
      assert.deepEqual(await publisher.publishPolicies(document), { version })
      await Promise.all(members.map((each) => each.at(version)))
    }
    await publish({ ...OWN, candidate: { limit: 3, ...DAY } }, 1)
    assert.deepEqual(publisher.sharedPolicies().document.candidate, { limit: 3, ...DAY })
    const first = await one.ask('a', 2)
    assert.deepEqual([first.allowed, first.shadow.candidate], [2, { agreed: 2, wouldDeny: 0, wouldAllow: 0 }])
    // What the one has taken the other's trial knows.
    const second = await other.ask('a', 6)
    assert.deepEqual([second.allowed, second.shadow.candidate], [3, { agreed: 4, wouldDeny: 2, wouldAllow: 0 }])
    assert.equal(second.sources['deny-cache'], 0, 'each call is tried')
    await publish(OWN, 2)
    const third = await one.ask('a', 20)
    assert.deepEqual([third.allowed, third.shadow], [0, first.shadow])
    // A limit that is tried as a whole refuses nobody, whatever is known of its refusals.
    await publish({ ...OWN, shadow: true }, 3)
    assert.equal((await one.ask('a', 7)).allowed, 7)
    await publish(OWN, 4)
    assert.equal((await one.ask('a', 7)).allowed, 0)
    await Promise.all(members.map((each) => each.end()))
  })

  test('is published from the command line, and refused there where it is wrong', async (t) => {
    const path = join(mkdtempSync(join(tmpdir(), 'trials-')), 'limits.json')
    t.after(() => rmSync(join(path, '..'), { recursive: true }))
    const set = (document) => {
      writeFileSync(path, JSON.stringify(document))
      return told(['policies', 'set', path, '--name', 'cli-trial', '--redis-url', redis.url])
    }
    const limits = [
      { name: 'in-force', ...OWN },
      { name: 'next', limit: 1, ...DAY, shadow: true },
    ]
    assert.equal((await set({ limits })).code, 0)
    const limiter = new RateLimiter({ ...OWN, redisUrl: redis.url, policies: { shared: 'cli-trial' } })
    t.after(() => limiter.close())
    await until(() => limiter.policies().some(({ role }) => role === 'shadow'), 'the trial begins', 10_000)
    const wrong = await set({ limits: [{ ...limits[1] }] })
    assert.notEqual(wrong.code, 0)
    assert.match(wrong.stderr, /nobody would ever be refused/)
  })
})
