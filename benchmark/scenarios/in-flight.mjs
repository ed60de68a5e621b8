/** Redis: a fixed number of calls always in flight in each process, the latency of each recorded. */

import { openContestant } from '../contestants/index.mjs'
import { callFigures, nowUs } from './sample.mjs'
import { makeKeys, makeOrder } from './workload.mjs'

// Of a slice with more calls than this the first ones tell the latencies; their order wraps around as well.
const RECORDED = 1 << 19

export async function open(contestantId, { inFlight, spread, warmUpMs, ...settings }) {
  const contestant = await openContestant(contestantId, settings)
  const order = makeOrder(RECORDED, spread)
  const [warm, keys] = [makeKeys('warm'), makeKeys('user')]
  // Each slice goes on where the one before has ended.
  let next = 0

  async function run(keys, durationMs) {
    const latencies = new Float32Array(RECORDED)
    let [calls, allowed] = [0, 0]
    const start = nowUs()
    const deadline = performance.now() + durationMs

    async function lane() {
      for (;;) {
        const since = performance.now()
        if (since >= deadline) return
        const place = next++ % RECORDED
        const admitted = await contestant.isAllowed(keys[order[place]])
        if (calls < RECORDED) latencies[calls] = (performance.now() - since) * 1e3
        calls++
        if (admitted) allowed++
      }
    }

    const cpuBefore = process.cpuUsage()
    await Promise.all(Array.from({ length: inFlight }, lane))
    // Of the whole process: whatever a library does on other threads is on its bill.
    const { user, system } = process.cpuUsage(cpuBefore)
    const latenciesUs = latencies.subarray(0, Math.min(calls, RECORDED))
    return { calls, allowed, startUs: start, endUs: nowUs(), cpuUs: user + system, latenciesUs }
  }

  return {
    // Other keys, so that the timed calls find every limit unspent.
    async warmUp() {
      await run(warm, warmUpMs)
      next = 0
    },
    slice: (durationMs) => run(keys, durationMs),
    close: () => contestant.close(),
  }
}

export const figures = callFigures
