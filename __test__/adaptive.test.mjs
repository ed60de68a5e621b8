/** Limits that give way under load: how far, whose first, what is said of it, on every store. */

import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import { once } from 'node:events'
import { describe, test } from 'node:test'

import { RateLimiter } from 'distributed-rate-limiter'
import { rateLimit } from 'distributed-rate-limiter/http'

import { freePort, startRedis } from '../scripts/redis.mjs'
import { Latencies } from '../lib/adaptive/latencies.js'
import { assertEnded, program, run } from './support/child.mjs'
import { manual } from './support/manual-pressure.mjs'
import { until } from './support/wait.mjs'

const PRIORITIES = ['low', 'normal', 'high']
const ALGORITHMS = ['sliding-window', 'sliding-counter', 'fixed-window', 'token-bucket', 'leaky-bucket']

/** More ticks than it takes to the minimum, and from there back to 1. */
const DOWN = 60
const UP = 600

const nextTick = () => new Promise((resolve) => setImmediate(resolve))

async function admitted(limiter, key, calls, options) {
  let count = 0
  for (let call = 0; call < calls; call += 1) if ((await limiter.check(key, options)).allowed) count += 1
  return count
}

describe('how far, and whose first', () => {
  test('lower priorities give way first, each to its floor before the next, and to the unit', async (t) => {
    const { load, make, pass } = manual(t)
    const limiter = make({ limit: 20, window: '1d', adaptive: { min: 0.3, priorities: PRIORITIES } })
    load.now = 1.3
    const seen = []
    for (let tick = 0; tick < 400 && limiter.stats().adaptive.multiplier > 0.3; tick += 1) {
      pass(1)
      const { priorities } = limiter.stats().adaptive
      const [low, normal, high] = PRIORITIES.map((name) => priorities[name])
      seen.push(priorities)
      assert.ok(low <= normal && normal <= high, JSON.stringify(priorities))
      assert.ok(normal === 1 || low === 0.3, JSON.stringify(priorities))
      assert.ok(high === 1 || normal === 0.3, JSON.stringify(priorities))
      for (const name of PRIORITIES) {
        const count = await admitted(limiter, `${name} ${tick}`, 21, { priority: name })
        // Thousandths in whole numbers: 20 * 0.35 is a little more than 7.
        assert.equal(
          count,
          Math.ceil((20 * Math.round(priorities[name] * 1_000)) / 1_000),
          `${name} of ${JSON.stringify(priorities)}`,
        )
      }
    }
    assert.deepEqual(seen.at(-1), { low: 0.3, normal: 0.3, high: 0.3 })
    const onTheWay = (name) => seen.some((priorities) => priorities[name] < 1 && priorities[name] > 0.3)
    assert.ok(PRIORITIES.every(onTheWay), 'each was seen on its way')
  })

  test('a call that names none is of the class normal, or of the middle one', async (t) => {
    const { load, make, pass } = manual(t)
    const named = make({ limit: 10, window: '1d', adaptive: { min: 0.1, priorities: ['normal', 'high'] } })
    const middle = make({ limit: 10, window: '1d', adaptive: { min: 0.1, priorities: ['a', 'b', 'c'] } })
    load.now = 1.5
    while (middle.stats().adaptive.priorities.b === 1) pass(1)
    const left = (limiter, name) =>
      Math.ceil((10 * Math.round(limiter.stats().adaptive.priorities[name] * 1_000)) / 1_000)
    assert.equal(await admitted(middle, 'k', 11), left(middle, 'b'))
    assert.equal(await admitted(named, 'k', 11), left(named, 'normal'))
    assert.ok(left(named, 'normal') < 10)
  })

  test('the limits are whole again when the load has gone', async (t) => {
    const { load, make, pass } = manual(t)
    const limiter = make({ limit: 10, window: '1d' })
    load.now = 5
    pass(DOWN)
    assert.equal(limiter.stats().adaptive.multiplier, 0.2)
    assert.equal(await admitted(limiter, 'k', 11), 2)
    load.now = 0
    pass(UP)
    assert.equal(limiter.stats().adaptive.multiplier, 1)
    assert.equal(await admitted(limiter, 'k', 11), 8, 'what was used under the reduced limit was used')
  })

  test('isAllowed, isAllowedSync, peek and acquire go by what is left, too', async (t) => {
    const { load, make, pass } = manual(t)
    const limiter = make({ limit: 10, window: '1d' })
    load.now = 5
    pass(DOWN)
    assert.deepEqual([limiter.isAllowedSync('k'), await limiter.isAllowed('k')], [true, true])
    assert.equal((await limiter.peek('k')).allowed, false)
    assert.deepEqual([limiter.isAllowedSync('k'), await limiter.isAllowed('k')], [false, false])
    assert.equal((await limiter.acquire('k', { maxWait: 0 })).allowed, false)
    assert.equal((await limiter.check('k', { cost: 10 })).allowed, false, 'too much for now is an answer, and no error')
  })

  for (const call of ['isAllowed', 'isAllowedSync', 'check', 'acquire', 'reserve']) {
    test(`while the loop works off what has come in, ${call} hears how late the timer is`, async (t) => {
      const { make, pass, stand } = manual(t)
      const limiter = make({ limit: 10, window: '1d', adaptive: { signals: ['eventLoopLag'] } })
      pass(1)
      const options = { acquire: { maxWait: 0 }, reserve: { cost: 1, ttl: '1h' } }[call]
      const allowed = []
      const ask = async () => {
        const answer = await limiter[call]('k', options)
        allowed.push(answer.allowed ?? answer)
      }
      for (const [ms, multiplier] of [
        [150, 1],
        [150, 0.5],
        [99, 0.5],
        [500, 0.25],
      ]) {
        stand(ms)
        await ask()
        await ask()
        assert.equal(limiter.stats().adaptive.multiplier, multiplier)
      }
      assert.deepEqual(allowed, [true, true, true, true, true, false, false, false], 'no timer has come')
    })
  }

  test('several limits, a burst, an action and a limit of the call give way alike', async (t) => {
    const { load, make, pass } = manual(t)
    const several = make({
      limits: [
        { name: 'day', by: 'user', limit: 100, window: '1d' },
        { name: 'all', by: 'global', limit: 10, window: '1d', burst: { extra: 5, window: '1d' } },
      ],
    })
    const one = make({ limit: 10, window: '1d', actions: { upload: { limit: 5, window: '1d' } } })
    load.now = 5
    pass(DOWN)
    assert.equal(await admitted(several, { user: 'k' }, 20), 3)
    assert.equal((await several.check({ user: 'k' })).reason, 'adaptive')
    assert.equal(await admitted(one, 'k', 20, { action: 'upload' }), 1)
    assert.equal(await admitted(one, 'k', 20, { action: 'other' }), 2)
    assert.equal(await admitted(one, 'own', 20, { limit: 20, window: '1d' }), 4)
    one.configure('vip', { limit: 50, window: '1d' })
    assert.equal(await admitted(one, 'vip', 60), 10)
  })
})

describe('the reason', () => {
  for (const algorithm of ALGORITHMS) {
    test(`is told of a refusal that the whole limit would not have made: ${algorithm}`, async (t) => {
      const { load, make, pass } = manual(t)
      const burst = algorithm === 'leaky-bucket' ? 9 : undefined
      const limiter = make({ limit: 10, window: '1d', algorithm, burst })
      assert.equal((await limiter.check('full', { cost: 10 })).allowed, true)
      assert.equal('reason' in (await limiter.check('full')), false, 'nothing has given way')
      load.now = 5
      pass(DOWN)
      // A bucket's level is a part of the bucket, so that of an empty one nobody knows what it lacked before.
      const full = await limiter.check('full')
      assert.equal('reason' in full, algorithm.endsWith('bucket'), 'the whole limit has no room either')
      const first = await limiter.check('free')
      assert.deepEqual([first.allowed, 'reason' in first], [true, false])
      await limiter.check('free')
      const refused = await limiter.check('free')
      assert.deepEqual([refused.allowed, refused.reason, refused.limit], [false, 'adaptive', 2])
      // Used within the whole limit before anything gave way.
      assert.equal((await limiter.check('free', { cost: 9 })).reason, undefined, 'too much for the whole limit, too')
      load.now = 0
      pass(UP)
      if (!algorithm.endsWith('bucket')) assert.equal((await limiter.check('free', { cost: 8 })).allowed, true)
    })
  }

  test('is told by acquire and reserve, too, whose options a check does not know', async (t) => {
    const { load, make, pass } = manual(t)
    const limiter = make({ limit: 10, window: '1d' })
    const ask = (cost) =>
      Promise.all([
        limiter.acquire('k', { cost, maxWait: 0, signal: AbortSignal.timeout(60_000) }),
        limiter.reserve('k', { cost, ttl: '1m' }),
      ])
    load.now = 5
    pass(DOWN)
    for (const { allowed, ...told } of await ask(1)) assert.deepEqual([allowed, 'reason' in told], [true, false])
    for (const { allowed, reason } of await ask(1)) assert.deepEqual([allowed, reason], [false, 'adaptive'])
    for (const told of await ask(9)) assert.equal('reason' in told, false, 'too much for the whole limit, too')
    assert.equal((await limiter.acquire('other')).allowed, true, 'without options')
  })

  test('is not told by acquire of a bucket in which places are booked ahead', async (t) => {
    const { load, make, pass } = manual(t)
    const limiter = make({ limit: 10, window: '1h', algorithm: 'token-bucket' })
    await limiter.check('k', { cost: 10 })
    const waiting = new AbortController()
    const waits = limiter.acquire('k', { cost: 8, signal: waiting.signal })
    load.now = 5
    pass(DOWN)
    const refused = await limiter.acquire('k', { maxWait: 0 })
    assert.deepEqual([refused.allowed, refused.reason], [false, undefined], 'the whole bucket is in debt')
    waiting.abort()
    await assert.rejects(waits)
  })

  test('makes the problem of a middleware another, which also says the priority and reports response times', async (t) => {
    const { load, make, pass } = manual(t)
    const limiter = make({
      limit: 5,
      window: '1d',
      adaptive: { priorities: ['low', 'normal'], signals: [() => load.now, 'latency'], targets: { latency: '100ms' } },
    })
    const reported = t.mock.method(limiter, 'latency')
    const guard = rateLimit({ limiter, key: () => 'k', priority: (request) => request.headers['x-priority'] })
    const server = createServer(async (request, response) => {
      if (await guard(request, response)) response.end('hello')
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    t.after(() => server.close())
    const ask = async (priority) => {
      const headers = { connection: 'close', ...(priority && { 'x-priority': priority }) }
      const response = await fetch(`http://127.0.0.1:${server.address().port}`, { headers })
      return { status: response.status, body: await response.text() }
    }
    assert.equal((await ask()).status, 200)
    load.now = 1.5
    while (limiter.stats().adaptive.priorities.low > 0.2) pass(1)
    const { status, body } = await ask('low')
    assert.equal(status, 429)
    const { type, title, 'violated-policies': violated } = JSON.parse(body)
    assert.equal(type, 'https://iana.org/assignments/http-problem-types#temporary-reduced-capacity')
    assert.deepEqual([title, violated], ['Temporarily reduced capacity', ['default']])
    load.now = 0
    pass(UP)
    while ((await ask()).status === 200);
    assert.match(JSON.parse((await ask()).body).type, /#quota-exceeded$/)
    assert.equal(reported.mock.callCount(), 5, 'of each that was admitted, and of no other')
  })
})

describe('on Redis', { timeout: 60_000 }, () => {
  test('this process gives way and another does not, and each refusal says why', async (t) => {
    const redis = await startRedis()
    t.after(() => redis.stop())
    for (const algorithm of ['sliding-window', 'sliding-counter', 'fixed-window']) {
      const { load, make, pass } = manual(t)
      const options = {
        limit: 10,
        window: '1d',
        algorithm,
        redisUrl: redis.url,
        prefix: algorithm,
        denyCache: false,
        timeout: '10s',
      }
      const loaded = make(options)
      const other = new RateLimiter(options)
      t.after(() => other.close())
      await Promise.all([loaded.ready(), other.ready()])
      load.now = 5
      pass(DOWN)
      assert.equal(await admitted(loaded, 'k', 4), 2)
      const refused = await loaded.check('k')
      assert.deepEqual(
        [refused.allowed, refused.reason, refused.limit, refused.source],
        [false, 'adaptive', 2, 'redis'],
      )
      assert.equal(await loaded.isAllowed('k'), false)
      assert.equal((await loaded.acquire('k', { maxWait: 0 })).reason, 'adaptive')
      assert.equal((await loaded.reserve('k', { cost: 1, ttl: '1m' })).reason, 'adaptive')
      assert.equal(await admitted(other, 'k', 20), 8, 'the whole limit, of which two were used')
      const full = await loaded.check('k')
      assert.deepEqual([full.allowed, 'reason' in full], [false, false], 'nobody has room')
      t.mock.reset()
      t.mock.timers.reset()
    }
  })

  test('a refusal that is known says so, too, and holds only while as much is left of the limit', async (t) => {
    const redis = await startRedis()
    t.after(() => redis.stop())
    const { load, make, pass } = manual(t)
    const limiter = make({ limit: 10, window: '1d', redisUrl: redis.url, denyCache: '1m', timeout: '10s' })
    await limiter.ready()
    load.now = 5
    pass(DOWN)
    assert.equal(await admitted(limiter, 'k', 3), 2)
    // The first is forgotten when this process begins to listen for whoever frees the key.
    await until(async () => (await limiter.check('k')).source === 'deny-cache', 'the refusal is known')
    const { batches } = limiter.stats()
    const known = await limiter.check('k')
    assert.equal(limiter.stats().batches, batches, 'nothing is asked')
    assert.deepEqual([known.allowed, known.reason, known.source], [false, 'adaptive', 'deny-cache'])
    load.now = 0
    pass(UP)
    const again = await limiter.check('k')
    assert.deepEqual([again.allowed, again.source, again.limit], [true, 'redis', 10])
  })

  test('without Redis the fallback gives way', async (t) => {
    const { load, make, pass } = manual(t)
    const redisUrl = `redis://127.0.0.1:${await freePort()}`
    const limiter = make({ limit: 10, window: '1d', redisUrl, fallback: { limit: 20 }, timeout: '50ms' })
    load.now = 5
    pass(DOWN)
    assert.equal(await admitted(limiter, 'k', 6), 4)
    const refused = await limiter.check('k')
    assert.deepEqual([refused.reason, refused.source, refused.limit], ['adaptive', 'fallback', 4])
  })
})

test(
  'in memory that processes share',
  { skip: process.platform !== 'linux' && 'there is no shared memory' },
  async (t) => {
    const { load, make, pass } = manual(t)
    const limiter = make({ limit: 10, window: '1d', shared: `adaptive-${process.pid}` })
    load.now = 5
    pass(DOWN)
    assert.equal(await admitted(limiter, 'k', 6), 2)
    assert.equal((await limiter.check('k')).reason, 'adaptive')
    load.now = 0
    pass(UP)
    assert.equal(await admitted(limiter, 'k', 20), 8)
    await limiter.reset('k')
  },
)

describe('what is told', () => {
  test('the event adaptive, when the multiplier leaves 1 and when it is back, and stats()', async (t) => {
    const { load, make, pass } = manual(t)
    const warnings = []
    const logger = { warn: (message) => warnings.push(message), error: assert.fail }
    function queue() {
      return load.now / 2
    }
    const limiter = make({ limit: 10, window: '1d', logger, adaptive: { signals: [() => load.now, queue] } })
    const told = []
    limiter.on('adaptive', ({ multiplier }) => told.push(multiplier))
    assert.deepEqual(limiter.stats().adaptive, {
      multiplier: 1,
      scope: 'instance',
      own: 1,
      instances: 1,
      load: 0,
      signals: {},
      priorities: { normal: 1 },
      failures: 0,
    })
    load.now = 4
    pass(DOWN)
    const { signals, load: highest, multiplier } = limiter.stats().adaptive
    assert.deepEqual([signals, highest, multiplier], [{ 'signal 1': 4, queue: 2 }, 4, 0.2])
    load.now = 0
    pass(UP)
    await nextTick()
    assert.equal(told.length, 2)
    assert.ok(told[0] < 1 && told[1] === 1, told.join(' '))
    assert.equal(warnings.length, 2, warnings.join('\n'))
    assert.equal(new RateLimiter({ limit: 1, window: '1s' }).stats().adaptive, null)
  })

  test('a signal that throws or says nonsense is ignored, counted, and told once', async (t) => {
    const { load, make, pass } = manual(t)
    let say = () => {
      throw new Error('broken')
    }
    const limiter = make({ limit: 10, window: '1d', adaptive: { signals: [() => load.now, () => say()] } })
    const told = []
    limiter.on('signalFailed', (error) => told.push(error))
    pass(3)
    const nonsense = [NaN, Infinity, -1, '1', null, undefined, {}, Promise.reject(new Error('late'))]
    for (const value of nonsense) {
      say = () => value
      pass(1)
    }
    await nextTick()
    assert.equal(limiter.stats().adaptive.failures, 3 + nonsense.length)
    assert.equal(told.length, 1)
    assert.deepEqual([told[0].code, told[0].cause.message], ['ERR_RATE_LIMIT_SIGNAL', 'broken'])
    assert.deepEqual(limiter.stats().adaptive.signals, { 'signal 1': 0 })
    say = () => 0.5
    pass(1)
    say = () => NaN
    pass(2)
    await nextTick()
    assert.equal(told.length, 2, 'it had worked meanwhile')
    assert.equal(limiter.stats().adaptive.multiplier, 1)
    load.now = 5
    pass(DOWN)
    assert.equal(limiter.stats().adaptive.multiplier, 0.2, 'the other signal is heard')
  })

  test('latency: nine of ten of the times that were reported', () => {
    const latencies = new Latencies()
    for (let ms = 1; ms <= 100; ms += 1) latencies.add(ms)
    assert.equal(latencies.read(), 90)
    // A few are not enough until a second has passed.
    latencies.add(5)
    for (let tick = 1; tick < 10; tick += 1) assert.equal(latencies.read(), 90)
    assert.equal(latencies.read(), 5)
    for (let tick = 1; tick < 10; tick += 1) latencies.read()
    assert.equal(latencies.read(), 0, 'nobody answers anything')
    for (let ms = 1; ms <= 10; ms += 1) latencies.add(ms)
    assert.equal(latencies.read(false), 9, 'a loop that stands still may still have answered')
    for (let look = 1; look < 20; look += 1)
      assert.equal(latencies.read(false), 9, 'but who looks meanwhile is no tick')
    for (let tick = 1; tick < 10; tick += 1) assert.equal(latencies.read(), 9)
    assert.equal(latencies.read(), 0)
    // However many there are, the last 1,024 are kept.
    for (let ms = 0; ms < 5_000; ms += 1) latencies.add(ms)
    assert.ok(latencies.read() > 4_800)
  })

  test('latency() takes numbers from 0 on, also of a limiter that makes nothing of them', (t) => {
    const limiter = new RateLimiter({ limit: 1, window: '1s' })
    t.after(() => limiter.close())
    limiter.latency(12.5)
    assert.equal(limiter.measuresLatency, false)
    for (const [value, name] of [
      [-1, 'RangeError'],
      [NaN, 'RangeError'],
      [Infinity, 'RangeError'],
      ['1', 'TypeError'],
      [undefined, 'TypeError'],
    ]) {
      assert.throws(() => limiter.latency(value), {
        name,
        code: 'ERR_RATE_LIMIT_OPTION',
        message: /`ms` must be a number of milliseconds/,
      })
    }
  })
})

describe('bad input', () => {
  const ROWS = [
    [true, 'TypeError', /`adaptive` must be an object.*or false/],
    [{ signal: [] }, 'TypeError', /signal/, 'ERR_RATE_LIMIT_UNKNOWN_OPTION'],
    [{ signals: 'cpu' }, 'TypeError', /`adaptive.signals`.*'eventLoopLag', 'cpu', 'latency'/],
    [{ signals: [] }, 'RangeError', /`adaptive.signals`/],
    [{ signals: ['cpu', 'cpu'] }, 'RangeError', /`adaptive.signals`.*each once/],
    [{ signals: ['memory'] }, 'RangeError', /`adaptive.signals`.*'memory'/],
    [{ signals: [1] }, 'TypeError', /`adaptive.signals`/],
    [{ signals: Array(17).fill(() => 0) }, 'RangeError', /`adaptive.signals`.*16/],
    [{ targets: 1 }, 'TypeError', /`adaptive.targets`/],
    [{ targets: { lag: 1 } }, 'TypeError', /lag/, 'ERR_RATE_LIMIT_UNKNOWN_OPTION'],
    [{ targets: { eventLoopLag: 0 } }, 'RangeError', /`adaptive.targets.eventLoopLag`/],
    [{ targets: { latency: 'soon' } }, 'RangeError', /`adaptive.targets.latency`/],
    [{ targets: { cpu: 0 } }, 'RangeError', /`adaptive.targets.cpu` must be a number from 0.01 to 1024/],
    [{ min: 0 }, 'RangeError', /`adaptive.min` must be a number from 0.01 to 1/],
    [{ min: NaN }, 'RangeError', /`adaptive.min`/],
    [{ min: '0.2' }, 'TypeError', /`adaptive.min`/],
    [{ priorities: [] }, 'RangeError', /`adaptive.priorities`/],
    [{ priorities: ['a', 'a'] }, 'RangeError', /`adaptive.priorities`.*'a' was given twice/],
    [{ priorities: [''] }, 'RangeError', /`adaptive.priorities`/],
    [{ priorities: [1] }, 'TypeError', /`adaptive.priorities`/],
  ]
  for (const [adaptive, name, message, code = 'ERR_RATE_LIMIT_OPTION'] of ROWS) {
    test(`adaptive: ${JSON.stringify(adaptive).slice(0, 60)}`, () => {
      assert.throws(() => new RateLimiter({ limit: 1, window: '1s', adaptive }), { name, code, message })
    })
  }

  test('with a lease', () => {
    const options = { limit: 1, window: '1s', adaptive: {}, redisUrl: 'redis://127.0.0.1', lease: { max: 1, ttl: 1 } }
    assert.throws(() => new RateLimiter(options), { code: 'ERR_RATE_LIMIT_OPTION', message: /`adaptive` and `lease`/ })
  })

  test('a priority that nobody has named', async (t) => {
    const without = new RateLimiter({ limit: 1, window: '1s' })
    const nameless = new RateLimiter({ limit: 1, window: '1s', adaptive: {} })
    const named = new RateLimiter({ limit: 1, window: '1s', adaptive: { priorities: ['a', 'b'] } })
    for (const limiter of [without, nameless, named]) t.after(() => limiter.close())
    const code = 'ERR_RATE_LIMIT_OPTION'
    for (const limiter of [without, nameless]) {
      await assert.rejects(limiter.check('k', { priority: 'a' }), {
        name: 'TypeError',
        code,
        message: /`adaptive.priorities`/,
      })
    }
    await assert.rejects(named.check('k', { priority: 'c' }), {
      name: 'RangeError',
      code,
      message: /one of 'a', 'b'.*'c'/,
    })
    await assert.rejects(named.check('k', { priority: 1 }), { name: 'TypeError', code })
  })
})

test('dropped, it is collected; and it keeps no process alive', async () => {
  const end = await run(program('adaptive-dropped.mjs'), { nodeArgs: ['--expose-gc'], within: 30_000 })
  assertEnded(end, 'a program that dropped its limiters')
  assert.match(end.stdout, /collected/)
})

test('closed, it reads no signal with calls either', async (t) => {
  const { load, make, pass, stand } = manual(t)
  const limiter = make({ limit: 10, window: '1d' })
  pass(1)
  load.now = 100
  const told = []
  limiter.on('adaptive', (what) => told.push(what))
  await limiter.close()
  for (let call = 0; call < 5; call += 1) {
    stand(1_000)
    await assert.rejects(limiter.isAllowed('k'))
  }
  await nextTick()
  assert.deepEqual([told, limiter.stats().adaptive.multiplier], [[], 1])
})

test('closed, it reads no signal any more', async (t) => {
  const { make, pass } = manual(t)
  let reads = 0
  const limiter = make({ limit: 1, window: '1s', adaptive: { signals: [() => (reads += 1) * 0] } })
  pass(3)
  await limiter.close()
  pass(3)
  assert.equal(reads, 3)
})
