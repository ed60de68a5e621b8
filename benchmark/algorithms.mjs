/** What each algorithm costs: the work of Redis a decision, and the memory of a key in both stores. For docs/algorithms.md. */

import { RateLimiter } from '../index.mjs'
import { startRedis } from '../scripts/redis.mjs'
import { redisCommand } from '../scripts/resp.mjs'
import { exitWith } from '../scripts/run.mjs'
import { runInChild } from './child.mjs'
import { describeMachine, machineLine } from './machine.mjs'
import { redisCpuUs } from './redis-cpu.mjs'
import { writeResults } from './report/index.mjs'
import { toMarkdown, toText } from './report/table.mjs'
import { makeKeys } from './scenarios/workload.mjs'
import { median } from './statistics.mjs'

const CHILD = new URL('./footprint/state.mjs', import.meta.url)
const CONTESTANTS = [
  { title: 'sliding-window', options: { algorithm: 'sliding-window' } },
  { title: 'sliding-counter', options: { algorithm: 'sliding-counter' } },
  { title: 'fixed-window', options: { algorithm: 'fixed-window' } },
  { title: 'token-bucket', options: { algorithm: 'token-bucket' } },
  { title: 'leaky-bucket', options: { algorithm: 'leaky-bucket' } },
  {
    title: 'sliding-window with a burst',
    options: { algorithm: 'sliding-window', burst: { extra: 20, window: '1h' } },
  },
]
// In whose bytes in memory the others are told.
const BASE = 'fixed-window'
const ROUNDS = 5
const LIMIT = 100
// So long that hardly a unit comes back while calls are to be refused.
const WINDOW_MS = 3_600_000
const CALLS = 200_000
// Twice what two batches hold, so that each that leaves is full.
const IN_FLIGHT = 512
const KEYS = makeKeys('user')
// Numbers for which the tables are equally full, and about as empty as they ever are.
const STORED = { once: 1_000_000, busy: 250_000 }
const SLOTS = 33
const TIMEOUT_MS = 600_000

/** CPU time of Redis a decision: where all calls are admitted, then where every key has spent its limit. */
async function measureRedis(options, redis) {
  await redisCommand(redis.port, 'FLUSHALL')
  const limiter = new RateLimiter({
    limit: LIMIT,
    window: WINDOW_MS,
    ...options,
    redisUrl: redis.url,
    onStoreError: 'throw',
    timeout: '10s',
  })
  await limiter.ready()
  // Nothing is timed before Redis knows the script and every key.
  await call(limiter, KEYS.length)
  const [stored] = await redisCommand(redis.port, 'KEYS', `*:${KEYS[0]}`)
  const redisBytes = Number(await redisCommand(redis.port, 'MEMORY', 'USAGE', stored))
  const allowedUs = await cpuOf(redis, () => call(limiter, CALLS))
  // Twice as many units as one call may take are more than any of them has.
  for (let again = 0; again < 2; again++) {
    await call(limiter, KEYS.length, (key) => limiter.check(key, { upTo: LIMIT }))
  }
  const deniedUs = await cpuOf(redis, () => call(limiter, CALLS))
  const { batches, batchedCalls } = limiter.stats()
  await limiter.close()
  return { allowedUs, deniedUs, redisBytes, callsPerBatch: batchedCalls / batches }
}

/** Makes so many calls, always as many in flight as may be. */
async function call(limiter, calls, make = (key) => limiter.isAllowed(key)) {
  let next = 0
  async function lane() {
    while (next < calls) await make(KEYS[next++ % KEYS.length])
  }
  await Promise.all(Array.from({ length: IN_FLIGHT }, lane))
}

/** Microseconds of Redis's main thread a call: CPU time, which other programs on the machine add little to. */
async function cpuOf(redis, calls) {
  const before = await redisCpuUs(redis.port)
  await calls()
  return ((await redisCpuUs(redis.port)) - before) / CALLS
}

/** Bytes a key takes in this process: after one call, and after one in each slot of its window. */
async function measureMemory(options) {
  const grown = (keys, calls) => {
    const job = { options, limit: LIMIT, keys, calls }
    return runInChild(CHILD, job, { execArgv: ['--expose-gc'], timeoutMs: TIMEOUT_MS })
  }
  const once = await grown(STORED.once, 1)
  const busy = await grown(STORED.busy, SLOTS)
  return { memoryBytes: once.bytesPerKey, memoryBytesBusy: busy.bytesPerKey }
}

async function main() {
  const redis = await startRedis()
  try {
    const samples = CONTESTANTS.map(() => [])
    for (let round = 1; round <= ROUNDS; round++) {
      for (const [index, { title, options }] of CONTESTANTS.entries()) {
        const sample = await measureRedis(options, redis)
        samples[index].push(sample)
        console.log(`round ${round}, ${title}: ${sample.allowedUs.toFixed(2)} µs`)
      }
    }
    const results = []
    for (const [index, { title, options }] of CONTESTANTS.entries()) {
      const memory = await measureMemory(options)
      results.push({ title, options, ...leastOf(samples[index]), ...memory, rounds: samples[index] })
    }
    report({ date: new Date().toISOString(), rounds: ROUNDS, machine: await describeMachine(redis.port), results })
  } finally {
    await redis.stop()
  }
}

/** The least of each figure over the rounds: to the CPU time of one server, other programs on the machine only add. */
function leastOf(rounds) {
  const least = (field) => Math.min(...rounds.map((round) => round[field]))
  return {
    allowedUs: least('allowedUs'),
    deniedUs: least('deniedUs'),
    redisBytes: least('redisBytes'),
    callsPerBatch: median(rounds.map(({ callsPerBatch }) => callsPerBatch)),
  }
}

function report(measured) {
  // What the process itself grows by is in all of them, so differences are told and no sums.
  const [{ memoryBytes: base, memoryBytesBusy: baseBusy }] = measured.results.filter(({ title }) => title === BASE)
  const whole = (value) => Math.round(value).toLocaleString('en')
  const batch = whole(median(measured.results.map(({ callsPerBatch }) => callsPerBatch)))
  const table = {
    title: 'What an algorithm costs',
    header: [
      '',
      'Redis, CPU µs a call, admitted',
      'Redis, CPU µs a call, refused',
      'Redis, bytes a key',
      'in memory, bytes beyond a fixed window',
      'the same, of a busy key',
    ],
    rows: measured.results.map((result) => [
      result.title,
      result.allowedUs.toFixed(1),
      result.deniedUs.toFixed(1),
      whole(result.redisBytes),
      `+ ${whole(Math.max(0, result.memoryBytes - base))}`,
      `+ ${whole(Math.max(0, result.memoryBytesBusy - baseBusy))}`,
    ]),
    note:
      `The least of ${measured.rounds} alternating rounds of ${whole(CALLS)} calls on ${whole(KEYS.length)} keys, about ${batch} calls a ` +
      `batch, a limit of ${LIMIT} an hour. Bytes in Redis are those of MEMORY USAGE after one call, the key's name included; ` +
      `in memory they are what the process grew by for ${whole(STORED.once)} keys, and for ${whole(STORED.busy)} that were called in ` +
      `${SLOTS} slots of their window, less what it grew by for a fixed window. ` +
      `${machineLine(measured.machine)}.`,
  }
  console.log(`\n${toText(table)}`)
  const written = writeResults('algorithms', { json: measured, markdown: toMarkdown(table) }, { isWhole: true })
  console.log(`Written: ${written.join(', ')}`)
}

await main().catch(exitWith)
