/** Memory: each call awaited in a plain loop over all keys, lap after lap. */

import { openContestant } from '../contestants/index.mjs'
import { median } from '../statistics.mjs'
import { sum } from './sample.mjs'
import { KEYS, makeKeys } from './workload.mjs'

export async function open(contestantId, { limit, windowMs, warmUpMs, admits }) {
  const keys = makeKeys('user')
  const contestant = await openContestant(contestantId, { limit, windowMs })

  async function run(durationMs) {
    const lapsMs = []
    let allowed = 0
    const deadline = performance.now() + durationMs
    for (let start = performance.now(); start < deadline;) {
      allowed += await contestant.countAllowed(keys)
      const end = performance.now()
      lapsMs.push(end - start)
      start = end
    }
    return { calls: lapsMs.length * KEYS, allowed, lapsMs }
  }

  return {
    // Also creates the keys, and where `limit` is 1 spends them, so that every timed call meets a key that it knows.
    warmUp: () => run(warmUpMs),
    async slice(durationMs) {
      const sample = await run(durationMs)
      const expected = admits ? sample.calls : 0
      if (sample.allowed === expected) return sample
      throw new Error(`${sample.allowed} of ${sample.calls} calls were allowed instead of ${expected}`)
    },
    close: () => contestant.close(),
  }
}

/** The median lap, since a lap is short beside what else the machine does now and then. */
export function figures(slices) {
  const samples = slices.flatMap(({ samples }) => samples)
  return {
    calls: sum(samples.map(({ calls }) => calls)),
    nsPerCall: (median(samples.flatMap(({ lapsMs }) => lapsMs)) * 1e6) / KEYS,
  }
}
