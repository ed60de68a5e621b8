/** Redis: calls that come one by one at a steady rate, as requests do to servers that are not busy; what they cost in CPU. */

import { Socket } from 'node:net'
import { openContestant } from '../contestants/index.mjs'
import { pace } from '../pacer.mjs'
import { callFigures, nowUs, sum } from './sample.mjs'
import { makeKeys, makeOrder } from './workload.mjs'

const ORDER = 1 << 16
/** The end of the stream on which the parent asks for calls, a byte each. */
const LINE = 4

export async function open(contestantId, settings) {
  const contestant = await openContestant(contestantId, settings)
  const [keys, order] = [makeKeys('user'), makeOrder(ORDER)]
  let next = 0
  let round = emptyRound()

  async function call() {
    round.startUs ??= nowUs()
    const since = performance.now()
    const admitted = await contestant.isAllowed(keys[order[next++ % ORDER]])
    round.latenciesUs.push((performance.now() - since) * 1e3)
    round.endUs = nowUs()
    if (admitted) round.allowed++
  }

  const line = new Socket({ fd: LINE, readable: true, writable: false })
  line.on('data', (bytes) => {
    for (let byte = 0; byte < bytes.length; byte++) {
      const called = call()
      // Told by `end`, which may not wait for it yet.
      called.catch(() => {})
      round.pending.push(called)
    }
    round.arrived?.()
  })

  return {
    async begin() {
      round = { ...emptyRound(), cpu: process.cpuUsage() }
    },
    /** Resolves when so many calls were asked for since, and all are answered. */
    async end(calls) {
      while (round.pending.length < calls) await new Promise((resolve) => (round.arrived = resolve))
      // Also tells of a call that was rejected.
      await Promise.all(round.pending)
      const { user, system } = process.cpuUsage(round.cpu)
      const { allowed, startUs, endUs, latenciesUs } = round
      return { calls, allowed, startUs, endUs, cpuUs: user + system, latenciesUs: Float32Array.from(latenciesUs) }
    },
    async close() {
      line.destroy()
      await contestant.close()
    },
  }
}

function emptyRound() {
  return { pending: [], allowed: 0, latenciesUs: [] }
}

/** Runs in the parent, for all processes of a contestant together. */
export async function conduct(group, { perSecond }, durationMs) {
  await group.ask('begin')
  const { workers } = group
  const { beats, late } = await pace(perSecond, durationMs, (call) => workers[call % workers.length].line.write('.'))
  const callsOf = (index) => Math.ceil((beats - index) / workers.length)
  const [first, ...others] = await Promise.all(workers.map((worker, index) => worker.ask('end', callsOf(index))))
  return [{ ...first, late }, ...others]
}

export function figures(slices) {
  const all = callFigures(slices)
  const late = sum(slices.map(({ samples: [{ late }] }) => late))
  // Calls that came together with another one: where these are many, the machine had no time to be even.
  return { ...all, latePercent: (late / all.calls) * 100 }
}
