/** Several processes, all their calls in flight at once, on one key in Redis. */

import { assertEnded, program, start } from './child.mjs'

/** Races `processes` × `calls`; resolves with `{ allowed, denied, sources }` of all of them. */
export async function race({ options, key, processes, calls, within = 60_000 }) {
  const args = [JSON.stringify({ ...options, timeout: '30s', onStoreError: 'throw' }), key, calls]
  const racers = Array.from({ length: processes }, () => start(program('race.mjs'), { args, within }))
  try {
    await Promise.all(racers.map((racer) => racer.message()))
    const reports = racers.map((racer) => {
      racer.send('go')
      return racer.message()
    })
    const total = { allowed: 0, denied: 0, sources: new Set() }
    for (const { allowed, denied, sources } of await Promise.all(reports)) {
      total.allowed += allowed
      total.denied += denied
      for (const source of sources) total.sources.add(source)
    }
    for (const racer of racers) assertEnded(await racer.ended, 'a process of the race')
    return { ...total, sources: [...total.sources] }
  } finally {
    await Promise.all(racers.map((racer) => racer.stop('SIGKILL')))
  }
}
