/** Why `resolution` is what it is by default: what more slots cost in speed and memory, and what they buy in lateness. */

import { RateLimiter } from '../index.mjs'
import { startRedis } from '../scripts/redis.mjs'
import { redisCommand } from '../scripts/resp.mjs'
import { exitWith } from '../scripts/run.mjs'
import { describeMachine, machineLine } from './machine.mjs'
import { toMarkdown, toText } from './report/table.mjs'
import { writeResults } from './report/index.mjs'
import { median } from './statistics.mjs'

const RESOLUTIONS = [8, 16, 32, 64, 128]
const ROUNDS = 3
// Every slot of a window is in use: the window is short, each key is called many times in it, and nothing is refused.
const WINDOW_MS = 1_000
const LIMIT = 1_000_000
const KEYS = Array.from({ length: 50 }, (_, index) => `user:${index}`)
const IN_FLIGHT = 256

async function measureRedis(resolution, redis) {
  await redisCommand(redis.port, 'FLUSHALL')
  const limiter = new RateLimiter({
    limit: LIMIT,
    window: WINDOW_MS,
    resolution,
    redisUrl: redis.url,
    onStoreError: 'throw',
  })
  await limiter.ready()
  await callFor(limiter, WINDOW_MS * 1.2)
  const callsPerSecond = await callFor(limiter, WINDOW_MS)
  const sizes = await Promise.all(
    KEYS.map((key) => redisCommand(redis.port, 'MEMORY', 'USAGE', `rl:default:sliding-window:${key}`)),
  )
  await limiter.close()
  return { callsPerSecond, bytes: median(sizes.map(Number)) }
}

/** Keeps so many calls in flight for a while, and answers how many came back a second. */
async function callFor(limiter, ms) {
  let calls = 0
  const start = performance.now()
  async function caller() {
    while (performance.now() - start < ms) await limiter.isAllowed(KEYS[calls++ % KEYS.length])
  }
  await Promise.all(Array.from({ length: IN_FLIGHT }, caller))
  return (calls * 1_000) / (performance.now() - start)
}

function measureMemory(resolution) {
  const limiter = new RateLimiter({ limit: LIMIT, window: WINDOW_MS, resolution })
  let calls = 0
  const callUntil = (end) => {
    const start = performance.now()
    const before = calls
    while (performance.now() < end) for (let i = 0; i < 100; i++) limiter.isAllowedSync(KEYS[calls++ % KEYS.length])
    return ((performance.now() - start) * 1e6) / (calls - before)
  }
  callUntil(performance.now() + WINDOW_MS * 1.2)
  return callUntil(performance.now() + WINDOW_MS / 2)
}

async function main() {
  const redis = await startRedis()
  try {
    const samples = new Map(RESOLUTIONS.map((resolution) => [resolution, []]))
    for (let round = 1; round <= ROUNDS; round++) {
      for (const resolution of RESOLUTIONS) {
        const sample = { ...(await measureRedis(resolution, redis)), nsPerCall: measureMemory(resolution) }
        samples.get(resolution).push(sample)
        console.log(`round ${round}, resolution ${resolution}: ${Math.round(sample.callsPerSecond)} calls/s`)
      }
    }
    const medians = RESOLUTIONS.map((resolution) => {
      const of = (field) => median(samples.get(resolution).map((sample) => sample[field]))
      return { resolution, callsPerSecond: of('callsPerSecond'), bytes: of('bytes'), nsPerCall: of('nsPerCall') }
    })
    report({ date: new Date().toISOString(), rounds: ROUNDS, machine: await describeMachine(redis.port), medians })
  } finally {
    await redis.stop()
  }
}

function report(results) {
  const table = {
    title: 'Resolution of the sliding window, every slot in use',
    header: ['resolution', 'a unit is back late by', 'Redis, calls/s', 'Redis, bytes a key', 'memory, ns a call'],
    rows: results.medians.map(({ resolution, callsPerSecond, bytes, nsPerCall }) => [
      String(resolution),
      `< ${(100 / resolution).toFixed(1)} %`,
      Math.round(callsPerSecond).toLocaleString('en'),
      String(bytes),
      nsPerCall.toFixed(0),
    ]),
    note: `${IN_FLIGHT} calls in flight on ${KEYS.length} keys, medians of ${results.rounds} rounds. ${machineLine(results.machine)}.`,
  }
  console.log(`\n${toText(table)}`)
  const written = writeResults('resolution', { json: results, markdown: toMarkdown(table) }, { isWhole: true })
  console.log(`Written: ${written.join(', ')}`)
}

await main().catch(exitWith)
