/**
 * An Express application under three times the load that it can bear: with limits that give way it goes on answering about as many
 * requests in time as it can, and without it answers hardly any. What it can do is measured first, in the same run.
 */

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { program, start } from './support/child.mjs'

const WORK_MS = 20
/** Long beside the pauses of a machine on which others are at work. */
const DEADLINE_MS = 2_000
const CLIENTS = 10
const OVERLOAD = 3

/** Of all clients together three times what the server can do at best: nobody sizes limits for the worst. */
const LIMIT = { limit: (OVERLOAD * 1_000) / WORK_MS / CLIENTS, window: '1s', algorithm: 'token-bucket', burst: 3 }

const ADAPTIVE = {
  signals: ['eventLoopLag', 'latency'],
  targets: { eventLoopLag: '300ms', latency: '700ms' },
  min: 0.05,
}

async function serve(t, options) {
  const server = start(program('overload-server.mjs'), { args: [JSON.stringify(options), WORK_MS], within: 60_000 })
  t.after(() => server.stop('SIGKILL'))
  const { port } = await server.message()
  return { server, port }
}

async function load(port, how) {
  const args = [port, JSON.stringify({ deadlineMs: DEADLINE_MS, clients: CLIENTS, ...how })]
  const told = await start(program('overload-load.mjs'), { args, within: 40_000 }).message()
  return { ...told, goodput: told.good / (how.seconds - how.from) }
}

/**
 * What the server can do at best: so many at once that it always has something to do, and is in time for all of them. Of one whose limits
 * are whole, since it is to be kept as busy as it can be.
 */
async function measure(t) {
  const { server, port } = await serve(t, LIMIT)
  const peak = await load(port, { atOnce: 20, seconds: 5, from: 1 })
  await server.stop('SIGKILL')
  assert.ok(peak.good > 20, JSON.stringify(peak))
  return peak
}

/** Where others are at work, what the server can do is not the same from one second to the next: one of so many runs is to be good. */
const RUNS = 5

async function overloaded(t) {
  const peak = await measure(t)
  const { server, port } = await serve(t, { ...LIMIT, adaptive: ADAPTIVE })
  // From when the first blow is over.
  const under = await load(port, { rate: OVERLOAD * peak.goodput, seconds: 16, from: 8 })
  server.send('stats')
  const { adaptive } = await server.message()
  await server.stop('SIGKILL')
  t.diagnostic(JSON.stringify({ peak, under, adaptive }))
  return { peak, under, adaptive }
}

test('under three times its load an application keeps four fifths of its goodput', { timeout: 240_000 }, async (t) => {
  const runs = []
  const isGood = ({ peak, under }) => under.goodput >= 0.8 * peak.goodput
  while (runs.length < RUNS && !runs.some(isGood)) runs.push(await overloaded(t))
  assert.ok(runs.some(isGood), JSON.stringify(runs))
  const { under, adaptive } = runs.at(-1)
  assert.ok(under.refused > under.good && adaptive.multiplier < 1, JSON.stringify(runs.at(-1)))
})

test('and with whole limits it collapses', { timeout: 60_000 }, async (t) => {
  const peak = await measure(t)
  const { port } = await serve(t, LIMIT)
  // Of what it can do when nothing else is at work, so that it is as much on any machine.
  const under = await load(port, { rate: (OVERLOAD * 1_000) / WORK_MS, seconds: 9, from: 5 })
  const words = JSON.stringify({ peak, under })
  t.diagnostic(words)
  assert.ok(under.goodput < 0.3 * peak.goodput, words)
})
