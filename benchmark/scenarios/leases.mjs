/**
 * Redis: as many calls on one key as several processes can make, and whether together they were ever above its limit. The
 * loop has no latencies: two looks at a clock take as long as a call that asks nobody.
 */

import { findContestant, openContestant } from '../contestants/index.mjs'
import { elapsedUs, nowUs, sum } from './sample.mjs'

/** Calls of all lanes between two looks at the clock. */
const UNWATCHED = 64
const KEY = 'hot'

export async function open(contestantId, { inFlight, warmUpMs, checked, ...settings }) {
  const contestant = await openContestant(contestantId, settings)
  // Peers are in it for their pace: by their windows they may be above a limit, and nobody says otherwise.
  const isOurs = findContestant(contestantId).role === 'ours'
  const bounded = isOurs && (await openContestant(contestantId, { ...settings, ...checked }))

  async function run(durationMs) {
    let [calls, allowed, ended] = [0, 0, false]
    const startUs = nowUs()
    const deadline = performance.now() + durationMs
    const cpuBefore = process.cpuUsage()

    async function lane() {
      while (!ended) {
        if (await contestant.isAllowed(KEY)) allowed++
        // No timer would end it: who is answered at once never lets the loop turn.
        if (++calls % UNWATCHED === 0) ended = performance.now() >= deadline
      }
    }

    await Promise.all(Array.from({ length: inFlight }, lane))
    const { user, system } = process.cpuUsage(cpuBefore)
    if (allowed < calls) throw new Error(`${calls - allowed} calls were refused of a limit that is out of reach`)
    return { calls, startUs, endUs: nowUs(), cpuUs: user + system }
  }

  /** Of each call that was admitted the moments between which it was: its start and its end, in turn. */
  async function admissions() {
    const moments = []
    const deadline = performance.now() + checked.durationMs

    async function lane() {
      while (performance.now() < deadline) {
        const before = nowUs()
        if (await bounded.isAllowed(KEY)) moments.push(before, nowUs())
      }
    }

    await Promise.all(Array.from({ length: checked.inFlight }, lane))
    return Float64Array.from(moments)
  }

  return {
    warmUp: () => run(warmUpMs),
    slice: run,
    admissions: () => (isOurs ? admissions() : undefined),
    close: () => Promise.all([contestant.close(), bounded && bounded.close()]),
  }
}

/** A bucket promises another bound for any window: what is in it when it is full, and what flows in meanwhile. */
const isBucket = (contestantId) => contestantId.endsWith('token-bucket')

/** Runs in the parent, after each slice that is timed. */
export async function check(group, { checked }) {
  const each = await group.ask('admissions')
  if (each.includes(undefined)) return {}
  const limit = checked.limit * (isBucket(group.contestantId) ? 2 : 1)
  return { over: overLimit(each, { ...checked, limit }) }
}

/**
 * How many units more than the limit were admitted in the worst window: a lower bound, of calls that began and were answered
 * within it, so that it is never above 0 where the limit was kept.
 *
 * @param {Float64Array[]} each Of each process the start and the end of its admissions, in turn.
 */
export function overLimit(each, { limit, windowMs }) {
  const moments = (offset) =>
    Float64Array.from(each.flatMap((pairs) => [...pairs.filter((_, at) => at % 2 === offset)]))
  const [starts, ends] = [moments(0).sort(), moments(1).sort()]
  let [most, ended] = [0, 0]
  for (let began = 0; began < starts.length; began++) {
    // Whole microseconds, cut off: an end may have been almost one later.
    while (ended < ends.length && ends[ended] + 1 < starts[began] + windowMs * 1e3) ended++
    most = Math.max(most, ended - began)
  }
  return Math.max(0, most - limit)
}

export function figures(slices) {
  const samples = slices.flatMap(({ samples }) => samples)
  const calls = sum(samples.map(({ calls }) => calls))
  const over = slices.map(({ over }) => over).filter((units) => units !== undefined)
  return {
    calls,
    callsPerSecond: calls / (sum(slices.map(elapsedUs)) / 1e6),
    cpuUsPerCall: sum(samples.map(({ cpuUs }) => cpuUs)) / calls,
    redisUsPerCall: sum(slices.map(({ redisUs }) => redisUs)) / calls,
    ...(over.length > 0 && { over: Math.max(...over) }),
  }
}
