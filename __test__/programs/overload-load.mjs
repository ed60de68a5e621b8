/**
 * Asks a server for so long. Either `atOnce` requests at a time, each followed by the next; or `rate` a second, sent when it is time for
 * them whether others were answered or not, as people do who know nothing of each other.
 *
 * Arguments: the port, and `{ seconds, from, deadlineMs, clients, atOnce | rate }` as JSON. Sends `{ good, refused, late, failed }`: by how they
 * ended, the requests that were to be sent from the second `from` on. Good is what was answered in time.
 */

import { Agent, get } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'

const [port, { seconds, from, deadlineMs, clients, atOnce, rate }] = process.argv
  .slice(2)
  .map((text) => JSON.parse(text))

/** As many as a proxy keeps open. Node accepts new ones one at a time, so that who has to connect first waits where no signal sees it. */
const CONNECTIONS = 500

const agent = new Agent({ keepAlive: true, maxSockets: CONNECTIONS, maxFreeSockets: CONNECTIONS, scheduling: 'fifo' })
const told = { good: 0, refused: 0, late: 0, failed: 0 }
let sent = 0

function ask(path) {
  const headers = { 'x-client': `client ${sent++ % clients}` }
  return new Promise((resolve) => {
    const request = get({ port, host: '127.0.0.1', path, agent, headers }, (response) => {
      response.resume().once('close', () => resolve(response.statusCode))
    })
    request.once('error', () => resolve(0))
  })
}

/** Counted from when it was due: a load that is late itself makes no server look better. */
async function count(due) {
  const status = await ask('/')
  if (due < start + from * 1_000) return
  if (status === 429) told.refused += 1
  else if (status !== 200) told.failed += 1
  else if (performance.now() - due > deadlineMs) told.late += 1
  else told.good += 1
}

await Promise.all(Array.from({ length: CONNECTIONS }, () => ask('/open')))
const start = performance.now()
const end = start + seconds * 1_000

if (atOnce !== undefined) {
  const one = async () => {
    while (performance.now() < end) await count(performance.now())
  }
  await Promise.all(Array.from({ length: atOnce }, one))
} else {
  const asked = []
  for (let due = start; due < end; due += 1_000 / rate) {
    await sleep(due - performance.now())
    asked.push(count(due))
  }
  // What is not answered by then is late, however long that takes.
  const late = asked.length
  await Promise.race([Promise.all(asked), sleep(deadlineMs)])
  const counted = told.good + told.refused + told.late + told.failed
  const due = Math.round((seconds - from) * rate)
  told.late += Math.max(0, Math.min(late, due) - counted)
}
process.send(told)
process.exit()
