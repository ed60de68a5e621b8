/** What each program of a race does: it waits at the barrier, does its work, and tells what came of it. See `race.mjs`. */

import { once } from 'node:events'

/** Has `limiter` ready, waits until all may go, and reports what `work` resolves with. */
export async function race(limiter, work) {
  await limiter.ready({ timeout: '30s' })
  process.send('ready')
  await once(process, 'message')
  process.send(await work())
  process.disconnect()
}

/** Has all calls in flight at once; resolves with how many were allowed and denied, and who decided. */
export async function callsAtOnce(limiter, key, calls) {
  const decisions = await Promise.all(Array.from({ length: Number(calls) }, () => limiter.check(key)))
  const allowed = decisions.filter((decision) => decision.allowed).length
  const sources = [...new Set(decisions.map((decision) => decision.source))]
  return { allowed, denied: decisions.length - allowed, sources }
}
