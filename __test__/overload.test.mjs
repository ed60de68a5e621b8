/**
 * An Express application under three times the load that it can bear: with limits that give way it goes on answering about as many
 * requests in time as it can, and without it answers hardly any. What it can do is measured first, in the same run.
 */

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { program, start } from './support/child.mjs'

const WORK_MS = 20
const DEADLINE_MS = 500
const CLIENTS = 10
const OVERLOAD = 3

/** Of all clients together three times what the server can do at best: nobody sizes limits for the worst. */
const LIMIT = { limit: (OVERLOAD * 1_000) / WORK_MS / CLIENTS, window: '1s', algorithm: 'token-bucket', burst: 3 }

const ADAPTIVE = {
  signals: ['eventLoopLag', 'latency'],
  targets: { eventLoopLag: '100ms', latency: '250ms' },
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

/** What the server can do at best: never more at once than it takes to keep it busy. */
const measure = (port) => load(port, { atOnce: 2, seconds: 3, from: 1 })

test(
  'under three times its load an application keeps four fifths of its goodput with adaptive limits',
  { timeout: 60_000 },
  async (t) => {
    const { server, port } = await serve(t, { ...LIMIT, adaptive: ADAPTIVE })
    const peak = await measure(port)
    assert.ok(peak.good > 20, JSON.stringify(peak))
    const under = await load(port, { rate: OVERLOAD * peak.goodput, seconds: 14, from: 8 })
    server.send('stats')
    const { adaptive } = await server.message()
    const words = JSON.stringify({ peak, under, adaptive })
    t.diagnostic(words)
    assert.ok(under.goodput >= 0.8 * peak.goodput, words)
    assert.ok(under.refused > under.good, words)
  },
)

test('and without them it collapses', { timeout: 60_000 }, async (t) => {
  const { port } = await serve(t, LIMIT)
  const peak = await measure(port)
  assert.ok(peak.good > 20, JSON.stringify(peak))
  const under = await load(port, { rate: OVERLOAD * peak.goodput, seconds: 7, from: 3 })
  const words = JSON.stringify({ peak, under })
  t.diagnostic(words)
  assert.ok(under.goodput < 0.3 * peak.goodput, words)
})
