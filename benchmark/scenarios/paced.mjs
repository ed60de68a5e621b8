/** Redis: calls that come one by one at a steady rate, as requests do to servers that are not busy; what they cost in CPU. */

import { Socket } from 'node:net'
import { openContestant } from '../contestants/index.mjs'
import { pace } from '../pacer.mjs'
import { callFigures, nowUs } from './sample.mjs'
import { makeKeys, makeOrder } from './workload.mjs'

const ORDER = 1 << 16
/** The end of the stream on which the parent asks for calls, a byte each. */
const LINE = 4

export async function open(contestantId, { inFlight, perSecond, warmUpMs, ...settings }) {
  const contestant = await openContestant(contestantId, settings)
  const [keys, order] = [makeKeys('user'), makeOrder(ORDER)]
  let next = 0
  let round = emptyRound()

  async function call() {
    const since = performance.now()
    const admitted = await contestant.isAllowed(keys[order[next++ % ORDER]])
    round.latenciesUs.push((performance.now() - since) * 1e3)
    if (admitted) round.allowed++
  }

  const line = new Socket({ fd: LINE, readable: true, writable: false })
  line.on('data', (bytes) => {
    for (let byte = 0; byte < bytes.length; byte++) round.pending.push(call())
  })

  return {
    async begin() {
      round = emptyRound()
      round.startUs = nowUs()
      round.cpu = process.cpuUsage()
    },
    async end() {
      const { user, system } = process.cpuUsage(round.cpu)
      // Also tells of a call that was rejected.
      await Promise.all(round.pending)
      const { pending, allowed, startUs, latenciesUs } = round
      const calls = pending.length
      const latencies = Float32Array.from(latenciesUs)
      return { calls, allowed, startUs, endUs: nowUs(), cpuUs: user + system, latenciesUs: latencies }
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
  const lines = group.workers.map(({ line }) => line)
  await pace(perSecond, durationMs, (call) => lines[call % lines.length].write('.'))
  return group.ask('end')
}

export const figures = callFigures
