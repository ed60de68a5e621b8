/**
 * A cluster of Node's in which each worker calls as fast as it is answered; printed is how many calls all of them made in a second.
 *
 * Argument: what to do, as JSON: `contestant`, `workers`, `calls` of each, `inFlight`, and what the contestant is opened with.
 */

import cluster from 'node:cluster'
import { exitWith } from '../scripts/run.mjs'

const KEYS = Array.from({ length: 10_000 }, (_, index) => `user:${index}`)

const job = JSON.parse(process.argv[2])
const contestant = await import(`./contestants/${job.contestant}.mjs`)

/** The workers are all ready before any of them is timed. */
async function primary() {
  contestant.serve?.()
  const workers = Array.from({ length: job.workers }, () => cluster.fork())
  const next = () => Promise.all(workers.map(async (worker) => (await nextOf(worker)).figures))
  await next()
  for (const worker of workers) worker.send({ bench: 'go' })
  const figures = await next()
  for (const worker of workers) worker.kill()
  const first = Math.min(...figures.map(({ from }) => from))
  const last = Math.max(...figures.map(({ to }) => to))
  const allowed = figures.reduce((sum, own) => sum + own.allowed, 0)
  console.log(JSON.stringify({ callsPerSecond: (job.workers * job.calls * 1_000) / (last - first), allowed }))
}

/** The next message that is ours: those of the limiters travel the same way. */
function nextOf(emitter) {
  return new Promise((resolve) => {
    emitter.on('message', function listen(message) {
      if (message?.bench === undefined) return
      emitter.off('message', listen)
      resolve(message)
    })
  })
}

async function worker() {
  const { isAllowed, close } = await contestant.open(job)
  await call(isAllowed, Math.min(job.calls, 20_000))
  process.send({ bench: 'ready' })
  await nextOf(process)
  const from = Date.now()
  const allowed = await call(isAllowed, job.calls)
  process.send({ bench: 'done', figures: { from, to: Date.now(), allowed } })
  await close()
}

/** Makes `calls` calls, so many always in flight. Answers how many were allowed. */
async function call(isAllowed, calls) {
  let [made, allowed] = [0, 0]
  async function lane() {
    while (made < calls) {
      const key = KEYS[(made * 7_919) % KEYS.length]
      made += 1
      if (await isAllowed(key)) allowed += 1
    }
  }
  await Promise.all(Array.from({ length: job.inFlight }, lane))
  return allowed
}

await (cluster.isPrimary ? primary() : worker()).catch(exitWith)
