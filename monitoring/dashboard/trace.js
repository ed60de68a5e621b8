// What one limiter has done lately: points for the charts, and rates over the last seconds.
'use strict'

const { quantile, since } = require('./histogram.js')

/** How far back the charts reach. */
const POINTS = 300
/**
 * Rates and quantiles are those of the last seconds: of one second alone they would flicker. What was read before somebody last looked is
 * further back.
 */
const AVERAGED_MS = 10_000

class Trace {
  points = []
  /** The latest of `stats()`, and when it was taken, by a clock that is never set. */
  #readings = []

  /** Takes a reading at `now` (monotonic milliseconds), which viewers see as `at` (epoch milliseconds). */
  read(stats, now, at) {
    this.#readings.push({ stats, now })
    while (now - this.#readings[0].now > AVERAGED_MS) this.#readings.shift()
    const before = this.#readings.at(-2)
    if (before === undefined) return
    const latency = since(this.#readings[0].stats.latency, stats.latency)
    this.points.push({
      at,
      allowed: perSecond(before, stats, now, 'allowed'),
      denied: perSecond(before, stats, now, 'denied'),
      p50: quantile(latency, 0.5),
      p99: quantile(latency, 0.99),
      multiplier: stats.adaptive?.multiplier ?? null,
      load: stats.adaptive?.load ?? null,
    })
    if (this.points.length > POINTS) this.points.shift()
  }

  /** The present, as viewers are told of it. */
  get state() {
    const { stats, now } = this.#readings.at(-1)
    const first = this.#readings[0]
    const rate = (before, after) => (now > first.now ? ((after - before) * 1000) / (now - first.now) : null)
    const latency = since(first.stats.latency, stats.latency)
    const counted = (table, before) =>
      Object.entries(table).map(([name, { allowed, denied }]) => ({
        name,
        allowed,
        denied,
        allowedRate: rate(before[name]?.allowed ?? 0, allowed),
        deniedRate: rate(before[name]?.denied ?? 0, denied),
      }))
    return {
      allowed: stats.allowed,
      denied: stats.denied,
      allowedRate: rate(first.stats.allowed, stats.allowed),
      deniedRate: rate(first.stats.denied, stats.denied),
      p50: quantile(latency, 0.5),
      p99: quantile(latency, 0.99),
      slowest: stats.latency.bounds.at(-1),
      sources: Object.entries(stats.sources).map(([name, count]) => ({
        name,
        count,
        rate: rate(first.stats.sources[name], count),
      })),
      limits: counted(stats.limits, first.stats.limits),
      actions: counted(stats.actions, first.stats.actions),
      shadow: Object.entries(stats.shadow).map(([name, counts]) => ({ name, ...counts })),
      adaptive: stats.adaptive,
      topDenied: stats.topDenied,
      store: stats.store,
      circuit: stats.circuit,
      circuitOpened: stats.circuitOpened,
      storeErrors: stats.storeErrors,
      batches: stats.batches,
      callsPerBatch: stats.batchSizes.count > 0 ? stats.batchSizes.sum / stats.batchSizes.count : null,
      merged: stats.merged,
      pending: stats.pending,
      keys: stats.keys,
      bytes: stats.bytes,
      leases: stats.leases,
      told: stats.told,
      fleet: stats.fleet,
    }
  }
}

function perSecond(before, stats, now, field) {
  const elapsed = now - before.now
  return elapsed > 0 ? ((stats[field] - before.stats[field]) * 1000) / elapsed : 0
}

module.exports = { Trace }
