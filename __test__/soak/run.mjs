/** Plays a soak: a steady load, a fault at a time, and samples of the process all the while. */

import { cluster as clusterTopology } from '../chaos/cluster.mjs'
import { standalone as standaloneTopology } from '../chaos/standalone.mjs'
import { sleep, until } from '../support/wait.mjs'
import { uncaught } from '../support/witness.mjs'
import { faultsOf } from './faults.mjs'
import { Load, openLimiters } from './load.mjs'
import { sample } from './measures.mjs'

/** How long stores may take until they decide again, and the last calls until they are settled. Ends of waiting, no promises. */
const PATIENCE_MS = 30_000

/**
 * Soaks for `lengthMs`, and until so many `turns` have had their fault.
 *
 * @param given.rate calls a second
 * @param given.everyMs from one fault's begin to the next one's
 * @param given.lastsMs how long a fault lasts
 * @param given.sampleMs from one sample to the next
 * @param given.tell hears of each sample and each fault
 * @returns `{ samples, faults, calls, unsettled, unexpected, unhandled }`; times in seconds since the begin
 */
export async function soak(given) {
  const takeUncaught = uncaught()
  const cleanups = []
  const played = play(given, (cleanup) => cleanups.unshift(cleanup))
  try {
    await played
  } finally {
    for (const cleanup of cleanups) await cleanup()
  }
  // A rejection that nobody handles is told a turn later.
  await new Promise(setImmediate)
  return { ...(await played), unhandled: takeUncaught() }
}

async function play({ lengthMs, turns = 0, rate, everyMs, lastsMs, sampleMs, tell = () => {} }, after) {
  const standalone = await standaloneTopology.start()
  after(() => standalone.stop())
  const cluster = await clusterTopology.start()
  after(() => cluster.stop())
  const { limiters, close } = openLimiters(standalone, cluster)
  after(close)
  await Promise.all(Object.values(limiters).map((limiter) => limiter.ready({ timeout: PATIENCE_MS })))

  const begun = performance.now()
  const elapsed = () => (performance.now() - begun) / 1_000
  const samples = []
  const takeSample = () => {
    const taken = { at: elapsed(), ...sample() }
    samples.push(taken)
    tell({ sample: taken })
  }
  const load = new Load(limiters, rate)
  after(() => load.stop())
  const sampler = setInterval(takeSample, sampleMs)
  after(() => clearInterval(sampler))
  const faults = []
  const kinds = faultsOf({ standalone, cluster, lastsMs })
  for (let turn = 0; turn < turns || elapsed() * 1_000 < lengthMs; turn += 1) {
    // It begins in the midst of its interval, so that before and after it all is well for a while.
    await sleep(Math.max(0, (turn + 0.5) * everyMs - elapsed() * 1_000))
    const { name, play: strike } = kinds[turn % kinds.length]
    const at = elapsed()
    await strike()
    const mended = performance.now()
    await until(() => Object.values(limiters).every(isUp), `every limiter was up after: ${name}`, PATIENCE_MS)
    const fault = { name, at, returnMs: performance.now() - mended }
    faults.push(fault)
    tell({ fault })
    await sleep(Math.max(0, Math.min(lengthMs, (turn + 1) * everyMs) - elapsed() * 1_000))
  }
  load.stop()
  await until(() => load.pending === 0, 'every call was settled', PATIENCE_MS).catch(() => {})
  takeSample()
  const { started, settled, allowed, sources, rejected, unexpected } = load
  const calls = { started, settled, allowed, sources, rejected }
  return { samples, faults, calls, unsettled: load.pending, unexpected }
}

function isUp(limiter) {
  return ['up', 'none'].includes(limiter.stats().store)
}
