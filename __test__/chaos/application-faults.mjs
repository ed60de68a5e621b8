/** The application itself: a loop that is blocked, a process that leaves, threads that are ended, limiters by the thousand. */

import assert from 'node:assert/strict'

import { freePort } from '../../scripts/redis.mjs'
import { assertEnded, program, run } from '../support/child.mjs'
import { block, settles, sleep, until } from '../support/wait.mjs'
import { applicationClock } from './application-clock.mjs'
import { assertToldOfEachChange, watched } from './ordeal.mjs'
import { FALLBACK } from './words.mjs'

/** For rows in which nothing is measured. */
const NOTHING = { unsettled: 0, over: 0, p99Ms: undefined, returnMs: undefined }

const CLOCK = {
  name: "The clock of the application's host is set two days forward, and back",
  only: ['standalone'],
  says: {
    happens: 'Nothing. Time is that of Redis; in memory, and of deadlines, it is a clock that nobody can set.',
    callers: 'Nothing.',
    operator: 'Nothing.',
  },
  async run(scene) {
    await applicationClock(scene)
    return NOTHING
  },
}

export const rows = [
  {
    name: "The application's event loop is blocked for 2 s",
    only: ['standalone'],
    says: {
      happens: 'What came in time is read before any deadline fires: the loop that is late is no failure of Redis.',
      callers: 'What Redis answered in time is its decision, once the loop turns again. No `storeDown`.',
      operator: 'Find what blocks: `monitorEventLoopDelay`.',
    },
    run: blockedLoop,
  },
  {
    name: 'The process exits with promises pending',
    only: ['standalone'],
    says: {
      happens:
        'It ends with its own code, at once, whatever Redis does. One that does not exit ends when its calls are answered: a limiter keeps no process alive.',
      callers: 'Nobody is left. Redis has counted what had been sent.',
      operator: 'Nothing; `await limiter.close()` where the last calls matter.',
    },
    async run(scene) {
      for (const url of await redisesOf(scene)) {
        for (const after of [0, 3, 150, 'never']) {
          const end = await run(program('exit.mjs'), { args: [7, after, ...(url ? [url] : [])] })
          assertEnded(end, `a program that left with code 7, ${url ?? 'in memory'}`, 7)
        }
      }
      return NOTHING
    },
  },
  {
    name: 'Worker threads are started and terminated in the midst of calls',
    only: ['standalone'],
    says: {
      happens: 'Each thread takes its connections and its driver with it; other threads do not notice.',
      callers: "The terminated thread's are gone, as with any promise; others are answered.",
      operator: 'Nothing.',
    },
    async run(scene) {
      const [, ...urls] = await redisesOf(scene)
      const counts = [scene.threads, 50, 50]
      for (const [index, url] of urls.entries()) {
        const count = counts[index]
        const end = await run(program('workers.mjs'), { args: [count, url], within: 60_000 + 200 * count })
        assertEnded(end, `a program that terminated its workers, ${url}`)
        assert.equal(end.stdout, `terminated ${count}\n`)
      }
      const terminated = counts.reduce((sum, count) => sum + count)
      return { ...NOTHING, note: `${terminated.toLocaleString('en')} threads` }
    },
  },
  {
    name: 'Many limiters in one process lose Redis and find it again',
    says: {
      happens: 'Each has a connection and a circuit of its own, and one thread turns them all.',
      callers: FALLBACK,
      operator: 'Let calls share limiters: `actions` and `configure` are there for limits that differ.',
    },
    run: manyLimiters,
  },
  ...(process.platform === 'linux' ? [CLOCK] : []),
]

/** No Redis at all, one that answers, one that is silent, and none where one should be. */
async function redisesOf(scene) {
  const stage = await scene.start()
  const silent = await scene.start()
  await silent.each((node) => node.halt())
  return [undefined, stage.options.redisUrl, silent.direct.redisUrl, `redis://127.0.0.1:${await freePort()}`]
}

async function blockedLoop(scene) {
  const stage = await scene.start()
  // Past the proxy, whose loop is the one that is blocked. Longer than a busy machine makes Redis late, and much shorter than
  // the loop is blocked.
  const { limiter, seen } = watched(scene, { ...stage.direct, timeout: 500 })
  await limiter.ready()
  const calls = []
  const call = (count) => {
    for (let index = 0; index < count; index += 1) calls.push(limiter.check(`key-${calls.length}`))
  }
  // Under way when it begins to be blocked; and made in the midst of it, so that some find calls before them that are late to be told.
  call(200)
  block(2_000)
  await settles(Promise.all(calls), 'calls before a blocked loop')
  for (let round = 0; round < 10; round += 1) {
    call(20)
    block(200)
  }
  const decisions = await settles(Promise.all(calls), 'calls in a blocked loop')
  const sources = decisions.filter(({ source }) => source === 'redis').length
  assert.equal(sources, decisions.length, 'what was answered in time is the decision of Redis')
  assert.equal(limiter.stats().circuitOpened, 0, 'it is no failure of Redis')
  assert.equal(limiter.stats().storeErrors, 0)
  assert.deepEqual(seen.names, ['storeUp'])
  return { ...NOTHING, unsettled: limiter.stats().pending }
}

async function manyLimiters(scene) {
  const stage = await scene.start()
  const limiterOf = (known, index) => {
    const { limiter, seen } = watched(scene, {
      ...known,
      prefix: `limiter-${index}`,
      limit: 5,
      timeout: '10s',
      denyCache: false,
    })
    return { limiter, seen, admitted: { redis: 0, fallback: 0 } }
  }
  const limiters = Array.from({ length: scene.long ? 1_000 : 100 }, (_, index) => limiterOf(stage.options, index))
  // One of the same process that loses nothing, where there is a way past the fault.
  const spared = stage.direct === stage.options ? undefined : limiterOf(stage.direct, 'spared')
  const each = (act) => settles(Promise.all(limiters.map(act)), `${limiters.length} limiters`, 60_000)
  const latencies = []
  const check = async ({ limiter, admitted }) => {
    const from = performance.now()
    const { allowed, source } = await limiter.check('a')
    latencies.push(performance.now() - from)
    admitted[source] += allowed
    return source
  }
  await each(({ limiter }) => limiter.ready({ timeout: '60s' }))
  await spared?.limiter.ready({ timeout: '60s' })
  for (let call = 0; call < 3; call += 1) assert.ok((await each(check)).every((source) => source === 'redis'))

  await stage.each(({ proxy }) => proxy.refuse())
  await until(
    () => limiters.every(({ limiter }) => limiter.stats().store === 'down'),
    'all know that Redis is away',
    30_000,
  )
  latencies.length = 0
  for (let call = 0; call < 10; call += 1) assert.ok((await each(check)).every((source) => source === 'fallback'))
  const sorted = latencies.toSorted((a, b) => a - b)
  if (spared) assert.equal(await check(spared), 'redis', "a circuit is one limiter's")
  await sleep(scene.lasts)

  await stage.each(({ proxy }) => proxy.accept())
  const mended = performance.now()
  await until(() => limiters.every(({ limiter }) => limiter.stats().store === 'up'), 'all found Redis again', 30_000)
  const returnMs = performance.now() - mended
  await until(() => limiters.every(({ limiter }) => limiter.stats().told >= 1), 'Redis was told by all of them', 30_000)
  for (let call = 0; call < 5; call += 1) assert.ok((await each(check)).every((source) => source === 'redis'))
  for (const { admitted, seen } of limiters) {
    // What was admitted in Redis's place has used up what was left there.
    assert.deepEqual(admitted, { redis: 3, fallback: 5 }, 'each has counts of its own, and they outlast the fault')
    // So many at once may take longer than the second that each has to connect; that is told as well.
    assertToldOfEachChange(seen)
    assert.deepEqual(seen.names.slice(-3), ['storeUp', 'storeDown', 'storeUp'])
  }
  const unsettled = limiters.reduce((sum, { limiter }) => sum + limiter.stats().pending, 0)
  await each(({ limiter }) => limiter.close())
  return {
    unsettled,
    over: 0,
    p99Ms: sorted[Math.floor(sorted.length * 0.99)],
    returnMs,
    note: `${limiters.length} limiters`,
  }
}
