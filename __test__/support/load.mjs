/** A steady load on a limiter, in phases, and a report of how every single call ended. */

import assert from 'node:assert/strict'
import { setTimeout as timer } from 'node:timers/promises'

/** How long after the last call was made the slowest may take to settle. */
const PATIENCE_MS = 10_000

/** What happened to the calls that were made in one phase. */
class Phase {
  started = 0
  settled = 0
  allowed = 0
  denied = 0
  /** Decisions by their source. */
  sources = { redis: 0, memory: 0, fallback: 0, client: 0, 'deny-cache': 0 }
  /** Rejections by their code. */
  rejected = {}
  /** Milliseconds from the call to its settlement. */
  latencies = []
  /** Those of calls that were made while the limiter knew that the store was away. */
  knowing = []

  /** The latency that `share` of the calls did not exceed; 0 where there was none. */
  latencyOf(share, latencies = this.latencies) {
    const sorted = latencies.toSorted((a, b) => a - b)
    return sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)] ?? 0
  }

  toString() {
    const { started, settled, allowed, denied, sources, rejected } = this
    const [p50, p99, slowest] = [0.5, 0.99, 1].map((share) => `${this.latencyOf(share).toFixed(1)} ms`)
    return JSON.stringify({ started, settled, allowed, denied, sources, rejected, p50, p99, slowest })
  }
}

/**
 * Starts `callers` that each call, wait for the answer, pause, and call again, going round over `keys` keys. The pause
 * also lets Node's loop turn when every answer is there at once. `model` names the keys in their stead, and hears of each
 * call that is made and decided.
 *
 * @returns `phase(name)` begins a phase, `now` is the one that runs, and `stop()` ends the load and resolves with the report: phases by name
 */
export function startLoad(limiter, { callers = 100, keys = 1_000, pauseMs = 5, model } = {}) {
  const phases = {}
  let now
  let running = true

  const phase = (name) => (now = phases[name] = new Phase())
  phase('before')

  async function call(key) {
    const made = now
    made.started += 1
    const isDown = limiter.stats().store === 'down'
    const from = performance.now()
    try {
      const { allowed, source } = await limiter.check(key)
      model?.decided(key, allowed, source)
      made[allowed ? 'allowed' : 'denied'] += 1
      made.sources[source] += 1
    } catch (error) {
      const code = error?.code ?? String(error)
      made.rejected[code] = (made.rejected[code] ?? 0) + 1
    }
    const latency = performance.now() - from
    made.latencies.push(latency)
    if (isDown) made.knowing.push(latency)
    made.settled += 1
  }

  async function caller(first) {
    for (let turn = first; running; turn += callers) {
      await call(model ? model.nextKey() : `key-${turn % keys}`)
      await timer(pauseMs)
    }
  }

  const all = Promise.all(Array.from({ length: callers }, (_, index) => caller(index)))

  return {
    phase,
    get now() {
      return now
    },
    async stop() {
      running = false
      // A call that never settles shows in the report; the load ends all the same.
      const patience = new AbortController()
      await Promise.race([all, timer(PATIENCE_MS, undefined, { signal: patience.signal })])
      patience.abort()
      return phases
    },
  }
}

/** What every report must say where the fallback decides when the store does not. */
export function assertAllSettled(phases) {
  for (const [name, phase] of Object.entries(phases)) {
    assert.equal(phase.settled, phase.started, `${name}: calls never settled: ${phase}`)
    assert.deepEqual(phase.rejected, {}, `${name}: with onStoreError 'local' nothing rejects: ${phase}`)
  }
}
