/**
 * Makes 50,000 calls a second while Redis is there, while bytes go into a black hole, and when it is there again.
 *
 * Argument: the limiter's options as JSON. Sends a message once it calls. Then, for each message with a number of seconds: calls
 * for so long, sends a message, is sent one when the hole has ended, and sends its report. 0 ends it. Needs --expose-gc.
 */

import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'

import { RateLimiter } from 'distributed-rate-limiter'

const CALLS_PER_SECOND = 50_000
/** Each key's turn comes again and again, so that the fallback's own table does not grow with the calls. */
const KEYS = 1_000
/** The last bucket is for whatever took longer. */
const BUCKETS_MS = 2_000
/** A fixed table, since a list of latencies would itself be the growth that is looked for. */
const latencies = new Uint32Array(BUCKETS_MS + 1)

const limiter = new RateLimiter(JSON.parse(process.argv[2]))
const keys = Array.from({ length: KEYS }, (_, index) => `key-${index}`)
const rejected = new Set()
const sources = { redis: 0, fallback: 0, 'deny-cache': 0 }
let [made, settled] = [0, 0]

function call() {
  const from = performance.now()
  made += 1
  limiter.check(keys[made % KEYS]).then(
    ({ source }) => {
      settled += 1
      sources[source] += 1
      latencies[Math.min(BUCKETS_MS, Math.ceil(performance.now() - from))] += 1
    },
    (error) => {
      settled += 1
      rejected.add(error.code)
    },
  )
}

/** Calls at that rate for so long; the highest RSS that was seen. */
async function callFor(ms) {
  const from = performance.now()
  let highest = 0
  for (let calls = 0, elapsed = 0; elapsed < ms; elapsed = performance.now() - from) {
    for (; calls < (elapsed / 1_000) * CALLS_PER_SECOND; calls += 1) call()
    highest = Math.max(highest, process.memoryUsage.rss())
    await sleep(2)
  }
  return highest
}

/** What is in use when all that can be given back has been: RSS without the room that V8 keeps for what is to come. */
async function inUse(rounds = 10) {
  while (settled < made) await sleep(10)
  let lowest = Infinity
  for (let round = 0; round < rounds; round += 1) {
    globalThis.gc()
    await sleep(50)
    const { rss, heapTotal, heapUsed } = process.memoryUsage()
    lowest = Math.min(lowest, rss - heapTotal + heapUsed)
  }
  return lowest
}

function p99() {
  const total = latencies.reduce((sum, count) => sum + count, 0)
  let seen = 0
  return latencies.findIndex((count) => (seen += count) >= total * 0.99)
}

/** Calls into the hole for so long, is told that it has ended, and tells what that has cost. */
async function fallIn(seconds) {
  const before = await inUse()
  const rss = process.memoryUsage.rss()
  const madeBefore = made
  latencies.fill(0)
  const highest = await callFor(seconds * 1_000)
  const callsPerSecond = (made - madeBefore) / seconds
  const p99Ms = p99()
  process.send('long enough')
  await once(process, 'message')

  const mended = performance.now()
  while ((await limiter.check('probe')).source !== 'redis') await sleep(5)
  const returnMs = performance.now() - mended
  await callFor(500)
  // With patience: the allocator gives back what it kept, in its own time.
  const after = await inUse(40)
  return { callsPerSecond, p99Ms, returnMs, grewDuring: highest - rss, grewAfter: after - before }
}

await limiter.ready({ timeout: '20s' })
await callFor(1_000)
process.send('calling')
for (;;) {
  const [seconds] = await once(process, 'message')
  if (seconds === 0) break
  const cost = await fallIn(seconds)
  process.send({ ...cost, unsettled: made - settled, rejected: [...rejected], fallback: sources.fallback })
}
await limiter.close()
process.disconnect()
