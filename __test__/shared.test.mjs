/** Memory that the processes of one machine share: the whole face on it, races, deaths, and files that are refused. */

import assert from 'node:assert/strict'
import { chmodSync, closeSync, openSync, statSync, symlinkSync, truncateSync, writeFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'

import { DistributedRateLimiter, RateLimiter } from 'distributed-rate-limiter'

import { assertEnded, program, run, start } from './support/child.mjs'
import { assertDecision } from './support/decision.mjs'
import { allowedOf, describeFace } from './support/face.mjs'
import { reportsOf } from './support/race.mjs'
import { assertRefusal, rejectionOf, thrownBy } from './support/refusal.mjs'
import { FOLDER, sharedName } from './support/shared.mjs'
import { sleep, until } from './support/wait.mjs'

const KILLS = 1_000

// All limiters of the face in one file, each with a prefix of its own.
const face = sharedName()
let faces = 0
describeFace('shared', (options) => {
  faces += 1
  return new RateLimiter({ shared: face, prefix: `face-${faces}`, ...options })
})

describe('limiters that share', { timeout: 60_000 }, () => {
  const limiterOf = (t, options) => {
    const limiter = new RateLimiter({ limit: 3, window: '1d', ...options })
    t.after(() => limiter.close())
    return limiter
  }

  test('those of one name and prefix count together, and others apart', async (t) => {
    const [shared, other] = [sharedName(t), sharedName(t)]
    const [one, same] = [limiterOf(t, { shared }), limiterOf(t, { shared })]
    assertDecision(await one.check('a'), { allowed: true, remaining: 2, source: 'shared' })
    assertDecision(await same.check('a'), { allowed: true, remaining: 1, source: 'shared' })
    assert.equal(same.isAllowedSync('a'), true)
    assert.equal(await one.isAllowed('a'), false)
    for (const apart of [{ shared, prefix: 'apart' }, { shared, algorithm: 'fixed-window' }, { shared: other }]) {
      assertDecision(await limiterOf(t, apart).check('a'), { remaining: 2 })
    }
    // What is another kind of state is another key, and no error.
    assertDecision(await limiterOf(t, { shared, burst: { extra: 2, window: '1d' } }).check('a'), { remaining: 4 })
  })

  test('what was counted outlives the limiter that counted it', async (t) => {
    const shared = sharedName(t)
    const first = limiterOf(t, { shared })
    await first.check('a', { cost: 3 })
    await first.close()
    assert.equal((await rejectionOf(() => first.isAllowed('a'), 'a closed limiter')).code, 'ERR_RATE_LIMIT_CLOSED')
    assertDecision(await limiterOf(t, { shared }).check('a'), { allowed: false, source: 'shared' })
  })

  test('it is ready at once, has no store that could be away, and tells how many keys all of them have', async (t) => {
    const shared = sharedName(t)
    const [one, other] = [limiterOf(t, { shared }), limiterOf(t, { shared })]
    assert.equal(await one.ready(), undefined)
    await one.isAllowed('a')
    await other.isAllowed('b')
    const { store, keys, sources, allowed } = one.stats()
    assert.deepEqual({ store, keys, allowed }, { store: 'none', keys: 2, allowed: 1 })
    assert.equal(sources.shared, 1)
    await other.reset('a')
    assert.equal(one.stats().keys, 1)
  })

  test('changes are known to all at once', async (t) => {
    const shared = sharedName(t)
    const [one, other] = [limiterOf(t, { shared }), limiterOf(t, { shared })]
    await one.block('a', '1h')
    assert.equal(await other.isAllowed('a'), false)
    await other.unblock('a')
    assertDecision(await one.penalty('a', 2), { remaining: 1 })
    assertDecision(await other.refund('a', 1), { remaining: 2 })
    await one.reset('a')
    assertDecision(await other.peek('a'), { remaining: 3 })
  })

  test('several limits, new keys, actions, dated calls and a limit of a key', async (t) => {
    const shared = sharedName(t)
    const options = {
      shared,
      limit: undefined,
      window: undefined,
      limits: [
        { name: 'user', by: 'user', limit: 2, window: '1h' },
        { name: 'all', by: 'global', limit: 3, window: '1h' },
      ],
      newKeys: { limit: 2, window: '1h', by: 'ip' },
    }
    const [one, other] = [limiterOf(t, options), limiterOf(t, options)]
    assertDecision(await one.check({ user: 'u1', ip: 'i' }), { allowed: true, source: 'shared' })
    assertDecision(await other.check({ user: 'u1', ip: 'i' }), { allowed: true })
    assertDecision(await one.check({ user: 'u1', ip: 'i' }), { allowed: false, name: 'user' })
    assertDecision(await other.check({ user: 'u2', ip: 'i' }), { allowed: true })
    const refused = assertDecision(await one.check({ user: 'u3', ip: 'i' }), { allowed: false })
    assert.deepEqual(
      refused.limits.map(({ name, allowed }) => [name, allowed]),
      [
        ['user', true],
        ['all', false],
        ['newKeys', false],
      ],
    )
    const plain = limiterOf(t, { shared, prefix: 'plain', actions: { rare: { limit: 1, window: '1d' } } })
    assert.equal(await plain.isAllowed('a', { action: 'rare' }), true)
    assert.equal(await plain.isAllowed('a', { action: 'rare' }), false)
    assertDecision(await plain.check('a', { timestamp: Date.now() - 1_000 }), { allowed: true, remaining: 2 })
    plain.configure('b', { limit: 1, window: '1d' })
    assert.equal(await allowedOf(plain, 'b', 3), 1)
  })

  test('whoever waits in acquire is let in when another limiter gives back', async (t) => {
    const shared = sharedName(t)
    const options = { shared, algorithm: 'token-bucket', limit: 10, window: '1s', burst: 1 }
    const [one, other] = [limiterOf(t, options), limiterOf(t, options)]
    await one.isAllowed('a')
    const booked = await Promise.all([one.acquire('a'), other.acquire('a'), one.acquire('a')])
    for (const decision of booked) assertDecision(decision, { allowed: true, delayMs: 0, source: 'shared' })
    assertDecision(await other.acquire('a', { maxWait: 0 }), { allowed: false })
  })

  test('it has other names for the same', async (t) => {
    const limiter = new DistributedRateLimiter({ maxRequests: 2, timeWindowMs: 60_000, shared: sharedName(t) })
    t.after(() => limiter.close())
    assert.equal(await allowedOf(limiter, 'a', 5), 2)
    assertDecision(await limiter.check('a'), { allowed: false, source: 'shared' })
  })

  test('a program that has one comes to its end by itself', async (t) => {
    const options = JSON.stringify({ limit: 1, window: '1d', shared: sharedName(t) })
    const end = await run(program('shared-cluster.mjs'), { args: [options, 1, 1, 5], within: 30_000 })
    assertEnded(end, 'the program')
    assert.deepEqual(JSON.parse(end.stdout), { allowed: 1 })
  })
})

describe('processes that share', { timeout: 900_000 }, () => {
  for (const algorithm of ['sliding-window', 'token-bucket']) {
    test(`8 processes race for one key, ${algorithm}`, async (t) => {
      const options = { limit: 1_000, window: '1d', algorithm, shared: sharedName(t), timeout: '30s' }
      const args = [JSON.stringify(options), 'key', 2_000]
      const reports = await reportsOf(Array.from({ length: 8 }, () => ({ file: 'race.mjs', args })))
      const sum = (of) => reports.reduce((total, report) => total + report[of], 0)
      assert.deepEqual({ allowed: sum('allowed'), denied: sum('denied') }, { allowed: 1_000, denied: 15_000 })
      for (const { sources } of reports) assert.deepEqual(sources, ['shared'])
    })
  }

  test("a cluster of Node's, and threads in it", async (t) => {
    const options = { limit: 1_000, window: '1d', shared: sharedName(t), timeout: '30s' }
    const args = [JSON.stringify(options), 3, 2, 500]
    const end = await run(program('shared-cluster.mjs'), { args, within: 60_000 })
    assertEnded(end, 'the cluster')
    assert.deepEqual(JSON.parse(end.stdout), { allowed: 1_000 })
  })

  /** Its owner holds a shard's lock at most times, if it does nothing but decide; so one in some tries stops it in the midst. */
  test('one that is stopped in the midst of a step is waited for so long, and no longer', async (t) => {
    const options = {
      limit: 2 ** 32,
      window: '1d',
      algorithm: 'fixed-window',
      shared: sharedName(t),
      maxMemory: '64kb',
    }
    const all = JSON.stringify({ audit: options, small: options, brief: options })
    const limiter = new RateLimiter({ ...options, timeout: '5ms' })
    t.after(() => limiter.close())
    const other = start(program('shared-victim.cjs'), { args: [all, 1_000], within: 120_000 })
    t.after(() => other.stop('SIGKILL'))
    await until(() => other.said.stdout.includes('\n'), 'it is at work', 30_000)
    const late = await until(
      () => {
        other.signal('SIGSTOP')
        try {
          limiter.isAllowedSync('mine')
        } catch (error) {
          return error
        }
        other.signal('SIGCONT')
        return undefined
      },
      'it was stopped in the midst',
      100_000,
    )
    assert.equal(late.code, 'ERR_RATE_LIMIT_SHARED_TIMEOUT')
    assert.match(late.message, /5 ms/)
    assert.equal((await rejectionOf(() => limiter.check('mine'), 'while it is stopped')).code, late.code)
    // Its death is as good as its going on.
    await other.stop('SIGKILL')
    assert.equal(await limiter.isAllowed('mine'), true)
  })

  test(`${KILLS} are killed at random instants: nobody is above a limit, no key is stuck`, async (t) => {
    const BURST = 8
    const shared = sharedName(t)
    const own = { shared, maxMemory: '64kb', timeout: '30s' }
    const options = {
      audit: { ...own, limit: 2 ** 32, window: '1d', algorithm: 'fixed-window', prefix: 'audit' },
      // Each unit in a group of its own: a state of some thousand bytes.
      small: { ...own, limit: 500, window: '1d', resolution: 1_024, prefix: 'small' },
      brief: { ...own, limit: 50, window: 20, prefix: 'brief' },
    }
    const [audit, small, brief] = ['audit', 'small', 'brief'].map((name) => new RateLimiter(options[name]))
    t.after(() => Promise.all([audit, small, brief].map((limiter) => limiter.close())))
    const args = [JSON.stringify(options), BURST]
    const told = { audit: 0, small: 0 }
    let [killed, started] = [0, 0]
    async function lane() {
      while (started < KILLS) {
        started += 1
        const victim = start(program('shared-victim.cjs'), { args, within: 60_000 })
        await until(() => victim.said.stdout.includes('\n'), 'it is at work', 60_000)
        await new Promise((resolve) => setTimeout(resolve, Math.random() * 3))
        const { stdout, stderr, signal } = await victim.stop('SIGKILL')
        assert.deepEqual({ stderr, signal }, { stderr: '', signal: 'SIGKILL' })
        for (const line of stdout.split('\n').slice(0, -1)) {
          const [ofAudit, ofSmall] = line.split(' ').map(Number)
          told.audit += ofAudit
          told.small += ofSmall
        }
        killed += 1
        assert.ok(told.small <= 500, `${told.small} units of 500`)
        // Whoever comes next goes on.
        assert.equal(typeof (await brief.isAllowed('a')), 'boolean')
      }
    }
    await Promise.all([lane(), lane(), lane(), lane()])
    assert.equal(killed, KILLS)
    const taken = 2 ** 32 - (await audit.peek('audit')).remaining
    const most = told.audit + KILLS * BURST
    assert.ok(taken >= told.audit && taken <= most, `${taken} were taken, ${told.audit} told, ${most} at most`)
    const { remaining } = await small.peek('small')
    assert.ok(500 - remaining >= told.small, `${remaining} are left of 500, and ${told.small} were told`)
    await small.reset('small')
    assertDecision(await small.check('small', { cost: 500 }), { allowed: true, remaining: 0 })
    await sleep(45)
    for (const key of ['a', 'b', 'c', 'd']) {
      assertDecision(await brief.check(key, { cost: 50 }), { allowed: true, remaining: 0 })
    }
    t.diagnostic(`${told.audit} calls were told`)
  })
})

describe('files', { timeout: 60_000 }, () => {
  const options = (shared, more) => ({ limit: 1, window: '1d', shared, ...more })

  /** A file that was made by a limiter and is left to the test. */
  async function made(t) {
    const name = sharedName(t)
    const limiter = new RateLimiter(options(name, { maxMemory: '64kb' }))
    await limiter.close()
    return { name, path: join(FOLDER, name) }
  }

  const refuses = (name, code, says, more) => {
    const refusal = thrownBy(() => new RateLimiter(options(name, more)), `${code}: ${says}`)
    assertRefusal(refusal, { type: Error, code, says: [says] }, code)
  }

  test("it is this user's alone, and of its size", async (t) => {
    const { path } = await made(t)
    const { mode, uid, size } = statSync(path)
    assert.deepEqual({ mode: mode & 0o7777, uid, size }, { mode: 0o600, uid: process.geteuid(), size: 65_536 })
    assert.equal(statSync(FOLDER).mode & 0o7777, 0o700)
  })

  test('it does not grow, whoever calls; whoever is one too many is refused', async (t) => {
    const { name, path } = await made(t)
    const limiter = new RateLimiter(options(name))
    t.after(() => limiter.close())
    let refused
    for (let key = 0; refused === undefined; key += 1) {
      const decision = await limiter.check(`key-${key}`)
      if (!decision.allowed) refused = { decision, key: `key-${key}` }
    }
    assertDecision(refused.decision, { allowed: false, remaining: 0, source: 'shared' })
    assert.equal(await limiter.isAllowed('key-0'), false, 'nobody was forgotten')
    const full = await rejectionOf(() => limiter.block(refused.key, '1h'), 'a block without room')
    assert.equal(full.code, 'ERR_RATE_LIMIT_SHARED_FULL')
    assert.equal(statSync(path).size, 65_536)
  })

  test('another size, another version, and what is damaged are refused', async (t) => {
    const { name, path } = await made(t)
    refuses(name, 'ERR_RATE_LIMIT_SHARED_FORMAT', /65536 bytes/, { maxMemory: '128kb' })
    const write = (byte, at) => {
      const file = openSync(path, 'r+')
      writeSync(file, Buffer.of(byte), 0, 1, at)
      closeSync(file)
    }
    write(99, 8)
    refuses(name, 'ERR_RATE_LIMIT_SHARED_FORMAT', /another version/)
    write(1, 8)
    new RateLimiter(options(name))
    write(99, 60)
    refuses(name, 'ERR_RATE_LIMIT_SHARED_FORMAT', /damaged/)
    truncateSync(path, 4_096)
    refuses(name, 'ERR_RATE_LIMIT_SHARED_FORMAT', /damaged/)
    writeFileSync(path, "somebody else's", { mode: 0o600 })
    refuses(name, 'ERR_RATE_LIMIT_SHARED_FORMAT', /no file of this library/)
  })

  test('what others may write, and links, are refused', async (t) => {
    const { name, path } = await made(t)
    chmodSync(path, 0o660)
    refuses(name, 'ERR_RATE_LIMIT_SHARED_UNSAFE', /mode 660/)
    const link = sharedName(t)
    symlinkSync(path, join(FOLDER, link))
    refuses(link, 'ERR_RATE_LIMIT_SHARED_UNSAFE', /symbolic link/)
  })

  test('more than there is of shared memory is said at once', (t) => {
    refuses(sharedName(t), 'ERR_RATE_LIMIT_SHARED_UNAVAILABLE', /bytes/, { maxMemory: '200gb' })
  })
})
