/** Memory: each call awaited in a plain loop over all keys, lap after lap. */

import { openContestant } from '../contestants/index.mjs'
import { median } from '../statistics.mjs'
import { KEYS, makeKeys } from './workload.mjs'

export async function measureLoop(contestantId, { limit, windowMs, warmUpLaps, laps, admits }) {
  const keys = makeKeys('user')
  const contestant = await openContestant(contestantId, { limit, windowMs })
  // Also creates the keys, and where `limit` is 1 spends them, so that every timed call meets a key that it knows.
  for (let lap = 0; lap < warmUpLaps; lap++) await contestant.countAllowed(keys)

  let allowed = 0
  const lapsMs = []
  for (let lap = 0; lap < laps; lap++) {
    const start = performance.now()
    allowed += await contestant.countAllowed(keys)
    lapsMs.push(performance.now() - start)
  }
  await contestant.close()

  const calls = laps * KEYS
  const expected = admits ? calls : 0
  if (allowed !== expected) throw new Error(`${allowed} of ${calls} calls were allowed instead of ${expected}`)
  // The median lap, since a lap is short beside what else the machine does now and then.
  return { calls, nsPerCall: (median(lapsMs) * 1e6) / KEYS }
}
