/** Several processes, all their calls in flight at once, on one key in Redis. */

import { assertEnded, program, start } from './child.mjs'

/** Races `processes` × `calls`; resolves with `{ allowed, denied, sources }` of all of them. */
export function race({ options, key, processes, calls, within }) {
  const args = [withPatience(options), key, calls]
  return raceOf(
    Array.from({ length: processes }, () => ({ file: 'race.mjs', args })),
    within,
  )
}

/** The same of processes that each reach the server at `port` in a way of their own: `kinds` of clients, or `redisUrl`. */
export function raceOfClients({ options, key, kinds, calls, port, within }) {
  const args = (kind) => [withPatience(options), key, calls, kind, port]
  return raceOf(
    kinds.map((kind) => ({ file: 'client-race.mjs', args: args(kind) })),
    within,
  )
}

/** Each call is to be decided by Redis, unless it is said otherwise. */
function withPatience(options) {
  return JSON.stringify({ denyCache: false, ...options, timeout: '30s', onStoreError: 'throw' })
}

async function raceOf(programs, within) {
  const total = { allowed: 0, denied: 0, sources: new Set() }
  for (const { allowed, denied, sources } of await reportsOf(programs, within)) {
    total.allowed += allowed
    total.denied += denied
    for (const source of sources) total.sources.add(source)
  }
  return { ...total, sources: [...total.sources] }
}

/** Starts programs, `{ file, args }`, lets all of them go at once when all are ready, and resolves with what each reports. */
export async function reportsOf(programs, within = 60_000) {
  const racers = programs.map(({ file, args }) => start(program(file), { args, within }))
  try {
    await Promise.all(racers.map((racer) => racer.message()))
    const reports = racers.map((racer) => {
      racer.send('go')
      return racer.message()
    })
    const said = await Promise.all(reports)
    for (const racer of racers) assertEnded(await racer.ended, 'a process of the race')
    return said
  } finally {
    await Promise.all(racers.map((racer) => racer.stop('SIGKILL')))
  }
}
