/** What one process says of one slice, and what becomes of the samples of a round. */

import { percentile } from '../statistics.mjs'

/**
 * @typedef {object} Sample
 * @property {number} calls
 * @property {number} allowed How many of them.
 * @property {number} startUs When it began, by {@link nowUs}.
 * @property {number} endUs When it ended.
 * @property {number} cpuUs Of this process, all its threads, user and system.
 * @property {Float32Array} [latenciesUs] Of each call, or of the first so many.
 */

/**
 * A slice of a round: the samples of all processes, and what Redis spent on them.
 *
 * @typedef {object} Slice
 * @property {Sample[]} samples
 * @property {number} [redisUs] CPU of the main thread of Redis meanwhile.
 */

/** Microseconds by the clock that all processes of a machine share. */
export function nowUs() {
  return Number(process.hrtime.bigint() / 1000n)
}

/**
 * The figures of a round of calls: sums over its slices, percentiles over all latencies.
 *
 * @param {Slice[]} slices
 */
export function callFigures(slices) {
  const samples = slices.flatMap(({ samples }) => samples)
  const calls = sum(samples.map(({ calls }) => calls))
  if (calls === 0) throw new Error('not a single call was made')
  const latencies = concat(samples.map(({ latenciesUs }) => latenciesUs)).sort()
  return {
    calls,
    callsPerSecond: calls / (sum(slices.map(elapsedUs)) / 1e6),
    p50Us: percentile(latencies, 0.5),
    p99Us: percentile(latencies, 0.99),
    cpuUsPerCall: sum(samples.map(({ cpuUs }) => cpuUs)) / calls,
    redisUsPerCall: sum(slices.map(({ redisUs }) => redisUs)) / calls,
    deniedPercent: ((calls - sum(samples.map(({ allowed }) => allowed))) / calls) * 100,
  }
}

/** From when the first process began to when the last one ended. */
export function elapsedUs({ samples }) {
  return Math.max(...samples.map(({ endUs }) => endUs)) - Math.min(...samples.map(({ startUs }) => startUs))
}

export function sum(values) {
  return values.reduce((total, value) => total + value, 0)
}

function concat(arrays) {
  const whole = new Float32Array(sum(arrays.map(({ length }) => length)))
  let at = 0
  for (const array of arrays) {
    whole.set(array, at)
    at += array.length
  }
  return whole
}
