/** A server end to end: requests over kept connections, its CPU beside their number. */

import { load } from '../load/index.mjs'
import { nowUs, sum } from './sample.mjs'

export async function open(contestantId, settings) {
  const { open: openServer } = await import(`../servers/${contestantId}.mjs`)
  const server = await openServer(settings)
  let cpu
  return {
    url: () => server.url,
    async begin() {
      cpu = process.cpuUsage()
    },
    async end() {
      const { user, system } = process.cpuUsage(cpu)
      return { cpuUs: user + system }
    },
    close: () => server.close(),
  }
}

/** Runs in the parent: the load comes from a process of its own. */
export async function conduct(group, { connections }, durationMs) {
  const [url] = await group.ask('url')
  await group.ask('begin')
  const { requests, failed, elapsedUs } = await load({ url, connections, durationMs })
  const [{ cpuUs }] = await group.ask('end')
  if (failed > 0) throw new Error(`${failed} of ${requests} requests failed or were refused`)
  const endUs = nowUs()
  return [{ calls: requests, allowed: requests, startUs: endUs - elapsedUs, endUs, cpuUs, elapsedUs }]
}

export function figures(slices) {
  const samples = slices.flatMap(({ samples }) => samples)
  const total = (field) => sum(samples.map((sample) => sample[field]))
  const calls = total('calls')
  return {
    calls,
    callsPerSecond: calls / (total('elapsedUs') / 1e6),
    cpuUsPerCall: total('cpuUs') / calls,
    // Where this is well below a hundred, the load was what there was too little of.
    busyPercent: (total('cpuUs') / total('elapsedUs')) * 100,
    redisUsPerCall: sum(slices.map(({ redisUs }) => redisUs)) / calls,
  }
}
