/** Redis: a fixed number of calls always in flight, the latency of each recorded. */

import { openContestant } from '../contestants/index.mjs'
import { percentile } from '../statistics.mjs'
import { makeKeys, makeOrder } from './workload.mjs'

export async function measureInFlight(contestantId, { inFlight, spread, warmUpCalls, calls, ...settings }, redisUrl) {
  const contestant = await openContestant(contestantId, { ...settings, redisUrl })
  // Other keys, so that the timed calls find every limit unspent.
  await run(contestant, { keys: makeKeys('warm'), order: makeOrder(warmUpCalls, spread), inFlight })
  const timed = await run(contestant, { keys: makeKeys('user'), order: makeOrder(calls, spread), inFlight })
  await contestant.close()

  const latencies = timed.latencies.sort()
  return {
    calls,
    callsPerSecond: calls / (timed.elapsedMs / 1e3),
    p50Us: percentile(latencies, 0.5) * 1e3,
    p99Us: percentile(latencies, 0.99) * 1e3,
    cpuUsPerCall: timed.cpuUs / calls,
    deniedPercent: ((calls - timed.allowed) / calls) * 100,
  }
}

/** `inFlight` loops that share one queue of calls: each makes its next call as soon as its last is answered. */
async function run(contestant, { keys, order, inFlight }) {
  const latencies = new Float64Array(order.length)
  let next = 0
  let allowed = 0

  async function lane() {
    while (next < order.length) {
      const call = next++
      const start = performance.now()
      if (await contestant.isAllowed(keys[order[call]])) allowed++
      latencies[call] = performance.now() - start
    }
  }

  const cpuBefore = process.cpuUsage()
  const start = performance.now()
  await Promise.all(Array.from({ length: inFlight }, lane))
  const elapsedMs = performance.now() - start
  // Of the whole process: whatever a library does on other threads is on its bill.
  const cpu = process.cpuUsage(cpuBefore)

  return { latencies, allowed, elapsedMs, cpuUs: cpu.user + cpu.system }
}
