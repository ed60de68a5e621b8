/** The bench: its arithmetic, that every contestant works in every scenario, and that the documents quote what was measured. */

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'

import { bestPeer, comparable, ratio } from '../benchmark/comparison.mjs'
import { load, LOADERS } from '../benchmark/load/index.mjs'
import { pace } from '../benchmark/pacer.mjs'
import { PLOTS, plots, quoted, QUOTES } from '../benchmark/quote.mjs'
import { targetsTable } from '../benchmark/report/targets-table.mjs'
import { SCENARIOS } from '../benchmark/scenarios/index.mjs'
import { overLimit } from '../benchmark/scenarios/leases.mjs'
import { callFigures } from '../benchmark/scenarios/sample.mjs'
import { makeOrder } from '../benchmark/scenarios/workload.mjs'
import { sharedScenario } from '../benchmark/shared-scenario.mjs'
import { judgeTargets } from '../benchmark/targets.mjs'
import { ensurePeersInstalled } from '../scripts/peers.mjs'
import { findOnPath } from '../scripts/run.mjs'
import { describe as how, run } from './support/child.mjs'
import { links } from './support/markdown.mjs'

const root = new URL('../', import.meta.url)
const read = (path) => readFileSync(new URL(path, root), 'utf8')

/** A scenario as it is written down, of one figure a round of each contestant. */
function scenario(id, contestants, field = 'callsPerSecond') {
  const entries = contestants.map(({ id, role, figures }) => ({
    contestant: { id, label: id, role },
    rounds: figures.map((figure) => (figure === null ? { error: 'failed' } : { [field]: figure })),
  }))
  return comparable({ scenario: { id, title: id }, contestants: entries })
}

describe('comparison', () => {
  test('a machine that is slow in some rounds changes no ratio', () => {
    const { contestants } = scenario('redis-256', [
      { id: 'ours', role: 'ours', figures: [400, 200, 400, 200, 130] },
      { id: 'peer', role: 'peer', figures: [100, 50, 100, 50, 100] },
    ])
    const [ours, peer] = contestants
    assert.equal(ratio(ours, peer, 'callsPerSecond'), 4)
    assert.notEqual(ours.medians.callsPerSecond / peer.medians.callsPerSecond, 4, 'medians alone are another answer')
  })

  test('a round in which either has failed is no ratio', () => {
    const { contestants } = scenario('redis-256', [
      { id: 'ours', role: 'ours', figures: [null, 300, 500] },
      { id: 'peer', role: 'peer', figures: [100, 100, null] },
      { id: 'never', role: 'peer', figures: [null, null, null] },
    ])
    const [ours, peer, never] = contestants
    assert.equal(ratio(ours, peer, 'callsPerSecond'), 3)
    assert.equal(ratio(ours, never, 'callsPerSecond'), null)
    assert.equal(never.medians, null)
    assert.equal(ours.error, 'failed', 'a failure is told, whatever else succeeded')
  })

  test('what both have in common can be taken from both', () => {
    const { contestants } = scenario('redis-paced', [
      { id: 'ours', role: 'ours', figures: [30, 60] },
      { id: 'peer', role: 'peer', figures: [50, 100] },
      { id: 'none', role: 'context', figures: [20, 40] },
    ])
    const [ours, peer, less] = contestants
    assert.equal(ratio(ours, peer, 'callsPerSecond'), 0.6)
    assert.equal(ratio(ours, peer, 'callsPerSecond', { less }).toFixed(9), (1 / 3).toFixed(9))
  })

  test('the best peer is one, whatever ours and what is no limiter have', () => {
    const measured = scenario('redis-256', [
      { id: 'ours', role: 'ours', figures: [9] },
      { id: 'slow', role: 'peer', figures: [1] },
      { id: 'fast', role: 'peer', figures: [2] },
      { id: 'failed', role: 'peer', figures: [null] },
      { id: 'raw', role: 'context', figures: [8] },
    ])
    assert.equal(bestPeer(measured, 'callsPerSecond', Math.max).id, 'fast')
    assert.equal(bestPeer(measured, 'callsPerSecond', Math.min).id, 'slow')
    assert.equal(bestPeer(measured, 'p50Us', Math.min), undefined)
  })

  test('the best peer is the one that wins the rounds, whoever had the quick ones to itself', () => {
    const measured = scenario('redis-256', [
      { id: 'steady', role: 'peer', figures: [20, 20, 200, 200, null] },
      { id: 'lucky', role: 'peer', figures: [19, 19, 190, 190, 190] },
    ])
    const [steady, lucky] = measured.contestants
    assert.ok(lucky.medians.callsPerSecond > steady.medians.callsPerSecond, 'by its median it is another one')
    assert.equal(bestPeer(measured, 'callsPerSecond', Math.max), steady)
    assert.equal(bestPeer(measured, 'callsPerSecond', Math.min), lucky)
  })
})

test('a round of calls is the sum of its slices, over all processes', () => {
  const sample = (startUs, endUs, calls, allowed, latencies) => {
    return { calls, allowed, startUs, endUs, cpuUs: 10 * calls, latenciesUs: Float32Array.from(latencies) }
  }
  const figures = callFigures([
    // Two processes at once, of which one ends later.
    { samples: [sample(0, 1_000, 2, 2, [1, 2]), sample(500, 2_000, 2, 1, [3, 100])], redisUs: 12 },
    { samples: [sample(9_000, 10_000, 1, 0, [5]), sample(9_000, 10_000, 1, 0, [4])], redisUs: 6 },
  ])
  assert.deepEqual(figures, {
    calls: 6,
    callsPerSecond: 6 / 0.003,
    p50Us: 3,
    p99Us: 100,
    cpuUsPerCall: 10,
    redisUsPerCall: 3,
    deniedPercent: 50,
  })
  assert.throws(() => callFigures([{ samples: [sample(0, 1, 0, 0, [])], redisUs: 0 }]), /not a single call/)
})

test('what is above a limit is found, whoever admitted it, and nothing else', () => {
  const limit = { limit: 3, windowMs: 1 }
  // Calls that are answered 10 µs after they began.
  const admitted = (...starts) => Float64Array.from(starts.flatMap((start) => [start, start + 10]))
  assert.equal(overLimit([admitted(0, 100), admitted(200)], limit), 0)
  assert.equal(overLimit([admitted(0, 100), admitted(200, 300)], limit), 1)
  assert.equal(overLimit([admitted(0, 100, 200), admitted(1_000, 1_100, 1_200)], limit), 0, 'a window later')
  assert.equal(overLimit([admitted(500, 600, 700), admitted(1_000, 1_100, 1_200)], limit), 3, 'around an edge')
  // It may have been decided before the window or behind it.
  assert.equal(overLimit([admitted(0, 100, 200), Float64Array.from([300, 1_500])], limit), 0)
  assert.equal(overLimit([], limit), 0)
})

test('everybody calls the same keys in the same order', () => {
  for (const spread of ['even', 'hot', 'zipf']) {
    assert.deepEqual(makeOrder(1_000, spread), makeOrder(1_000, spread), spread)
  }
  assert.deepEqual(new Set(makeOrder(100, 'hot')), new Set([0]))
})

describe('targets', () => {
  const both = (sliding, bucket) => [
    { id: 'ours-sliding-window', role: 'ours', figures: sliding },
    { id: 'ours-token-bucket', role: 'ours', figures: bucket },
  ]
  const lineOf = (name, scenarios, bytes) => judgeTargets({ scenarios, bytes }).find((line) => line.name === name)

  test('are lines of their own words, judged or not measured', () => {
    const lines = judgeTargets({ scenarios: [], bytes: [] })
    assert.deepEqual(
      lines.map(({ name }) => name),
      [
        'memory, awaited `isAllowed`, 10,000 keys',
        'Redis, 10,000 keys, 256 in flight',
        'Redis, hot key, 1,024 in flight, exact',
        'Redis, blocked key',
        'leases, 4 processes, hot key',
        'multi-limit of 3',
        'one in flight',
        '5,000 calls/s, evenly spaced, 4 processes',
        'shared memory, 2 processes',
        'Fastify end to end with Redis',
        'Redis bytes a key',
      ],
    )
    assert.deepEqual(new Set(lines.map(({ kept }) => kept)), new Set([null]))
  })

  test('are kept at the bound itself by both algorithms, and missed by either', () => {
    const name = 'Redis, hot key, 1,024 in flight, exact'
    const peer = { id: 'peer', role: 'peer', figures: [10, 10, 10] }
    const judged = (sliding, bucket) => lineOf(name, [scenario('redis-hot', [...both(sliding, bucket), peer])]).kept
    assert.equal(judged([100, 100, 100], [100, 100, 100]), true)
    assert.equal(judged([100, 100, 100], [99, 99, 100]), false)
    assert.equal(judged([100, 100, 100], [null, null, null]), null, 'one that was not measured is no success')
  })

  test('a line that is missed says FAIL, and what was reached', () => {
    const peer = { id: 'peer', role: 'peer', figures: [10] }
    const { rows } = targetsTable(
      judgeTargets({ scenarios: [scenario('redis-hot', [...both([95], [200]), peer])], bytes: [] }),
    )
    const row = rows.find(([name]) => name.startsWith('Redis, hot key'))
    assert.deepEqual(row, ['Redis, hot key, 1,024 in flight, exact', '10 × best peer', 'calls/s 9.50, 20.0', 'FAIL'])
  })

  test('times and costs are compared the right way round', () => {
    const memory = (id, ours, theirs) =>
      scenario(id, [...both([ours], [ours]), { id: 'rlf-memory', role: 'peer', figures: [theirs] }], 'nsPerCall')
    const name = 'memory, awaited `isAllowed`, 10,000 keys'
    const judged = (allowed, denied) =>
      lineOf(name, [memory('memory-allowed', 100, allowed), memory('memory-denied', 100, denied)]).kept
    assert.equal(judged(270, 900), true)
    assert.equal(judged(269, 900), false)
    assert.equal(judged(270, 899), false)
  })

  test('shared memory is judged by a run of its own, each at its best', () => {
    const name = 'shared memory, 2 processes'
    const judged = (bucket) => {
      const samples = {
        'sliding/1': [9_000, 9_000, 9_000],
        'sliding/256': [10_000, 5_000, 10_000],
        'bucket/1': bucket,
        'bucket/256': [1, 1, 1],
        'rlf/1': [10, 10, 10],
        'rlf/256': [100, 50, 100],
      }
      return lineOf(name, [sharedScenario({ samples })]).kept
    }
    assert.equal(judged([10_000, 5_000, 10_000]), true)
    assert.equal(judged([9_999, 4_999, 10_000]), false)
  })

  test('bytes are compared with the log', () => {
    const bytes = (ours) => [
      { id: 'ours-sliding-window', fullBytes: ours },
      { id: 'ours-token-bucket', fullBytes: 100 },
      { id: 'sorted-set-log', fullBytes: 3_000 },
    ]
    assert.equal(lineOf('Redis bytes a key', [], bytes(600)).kept, true)
    assert.equal(lineOf('Redis bytes a key', [], bytes(601)).kept, false)
  })
})

test('the beat is made as often as was asked for', async () => {
  const beats = []
  const { beats: made } = await pace(5_000, 100, (beat) => beats.push(beat))
  assert.equal(made, 500)
  assert.deepEqual(
    beats,
    Array.from({ length: 500 }, (_, beat) => beat),
  )
})

describe('load', { timeout: 120_000 }, () => {
  for (const by of Object.keys(LOADERS)) {
    // Autocannon is a package; wrk serves where a system has it.
    if (by === 'wrk' && !findOnPath('wrk')) continue
    test(`${by}: all users, and each answer that is none is told`, async (t) => {
      await ensurePeersInstalled()
      const users = new Set()
      let refuses = false
      const server = createServer((request, response) => {
        users.add(request.headers['x-user-id'])
        response.writeHead(refuses ? 429 : 200).end('hello')
      })
      server.listen(0, '127.0.0.1')
      await once(server, 'listening')
      t.after(() => server.closeAllConnections())
      t.after(() => server.close())
      const options = { url: `http://127.0.0.1:${server.address().port}/`, connections: 10, durationMs: 1_000 }

      const welcome = await load(options, by)
      assert.ok(welcome.requests > 0)
      assert.equal(welcome.failed, 0)
      assert.ok(welcome.elapsedUs >= 900_000, `${welcome.elapsedUs} µs`)
      assert.ok(users.size > 10, `${users.size} users`)
      assert.ok(
        [...users].every((user) => /^user:\d+$/.test(user)),
        [...users].slice(0, 3).join(),
      )

      refuses = true
      const refused = await load(options, by)
      assert.ok(refused.failed > 0)
    })
  }
})

test('every contestant works in every scenario', { timeout: 600_000 }, async () => {
  const file = fileURLToPath(new URL('scripts/bench.mjs', root))
  const end = await run(file, { args: ['--quick'], within: 580_000 })
  assert.equal(end.code, 0, how(end))

  const { scenarios, bytes, targets } = JSON.parse(read('benchmark/results/latest.local.json'))
  assert.deepEqual(
    scenarios.map(({ id, contestants }) => [id, contestants.map(({ id }) => id)]),
    SCENARIOS.map(({ id, contestants }) => [id, contestants]),
  )
  for (const { id, contestants } of scenarios) {
    for (const contestant of contestants) {
      const figures = Object.entries(contestant.medians)
      assert.ok(contestant.medians.calls > 0, `${id}, ${contestant.id}`)
      for (const [field, value] of figures) assert.ok(Number.isFinite(value), `${id}, ${contestant.id}: ${field}`)
    }
  }
  assert.ok(bytes.length > 0)
  for (const one of bytes) assert.equal(one.error, undefined)
  const unmeasured = targets.filter(({ kept }) => kept === null).map(({ name }) => name)
  assert.deepEqual(unmeasured, [])
})

describe('documents', () => {
  for (const name of Object.keys(QUOTES)) {
    test(`${name} says what was measured`, async () => {
      const same = (await quoted(name)) === read(name)
      assert.ok(same, `${name} says something else: run \`node benchmark/quote.mjs\``)
    })
  }

  test('docs/performance.md shows the plots of what was measured', () => {
    const drawn = plots()
    const committed = readdirSync(PLOTS).sort()
    assert.deepEqual(committed, drawn.map(({ file }) => file).sort())
    const shown = links(read('docs/performance.md')).map(({ target }) => target)
    for (const { file, svg } of drawn) {
      assert.ok(shown.includes(`performance/${file}`), `${file} is not shown`)
      const same = read(`docs/performance/${file}`) === svg
      assert.ok(same, `${file} is another one: run \`node benchmark/quote.mjs\``)
    }
  })
})
