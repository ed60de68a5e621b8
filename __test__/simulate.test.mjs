/** The simulator: what it reports of a small fleet holds what is promised, and is the same each time. */

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { before, describe, test } from 'node:test'

import { ALGORITHMS, MODES } from '../simulator/report/points.mjs'
import { build, simulate } from '../simulator/report/run.mjs'
import { plots } from '../simulator/report/plots.mjs'
import { tables } from '../simulator/report/tables.mjs'
import { underUse } from '../simulator/report/use.mjs'

let file
before(async () => (file = await build()), { timeout: 600_000 })

const FLEET = { gateways: 8, nodes: 4, keys: 50, rate: 20_000, limit: 100, warmS: 1, seconds: 1 }

describe('a small fleet', { timeout: 120_000 }, () => {
  for (const algorithm of ALGORITHMS) {
    test(`is never over its limit, and asks less in each mode: ${algorithm}`, async () => {
      const reports = []
      for (const mode of MODES) reports.push(await simulate(file, { ...FLEET, algorithm, mode }))
      for (const { over, calls, decided, late } of reports) {
        assert.equal(over, 0)
        assert.equal(late, 0)
        assert.ok(Math.abs(calls - decided) < 100, `${decided} of ${calls} were decided`)
      }
      const [strict, merged, known] = reports.map(({ operationsADecision }) => operationsADecision)
      assert.ok(Math.abs(strict - 1) < 0.01, `${strict} operations a decision where each call is one`)
      assert.ok(merged < strict && known < merged, `${strict}, ${merged}, ${known}`)
    })
  }

  test('is told the same each time, and otherwise by another seed', async () => {
    const world = { ...FLEET, mode: 'leased' }
    const first = await simulate(file, world)
    assert.deepEqual(await simulate(file, world), first)
    assert.notDeepEqual(await simulate(file, { ...world, seed: 2 }), first)
  })

  test('is refused with a sentence where it cannot be', async () => {
    await assert.rejects(simulate(file, { gateways: 0 }), /`--gateways` must be a whole number from 1/)
    await assert.rejects(simulate(file, { cores: 2 }), /`--cores` is no option/)
  })
})

describe('the bound on what leases leave unused', { timeout: 120_000 }, () => {
  for (const algorithm of ALGORITHMS) {
    test(algorithm, async () => {
      const world = { algorithm, limit: 10_000, windowUs: 10_000_000, leaseUs: 200_000, gateways: 16, keys: 1 }
      const load = { rate: 2_000, warmS: 20, seconds: 50 }
      const points = []
      for (const mode of ['known', 'leased']) {
        const own = { ...world, ...load, mode }
        points.push({ world: own, words: '', bound: 0.02, report: await simulate(file, own) })
      }
      const [{ beyond, over }] = underUse(points)
      assert.equal(over, 0)
      assert.ok(beyond <= 0.02, `${100 * beyond} % of the limit is not used`)
    })
  }
})

test('docs/scale.md and its plots are those of the committed report', () => {
  const read = (path) => readFileSync(new URL(`../${path}`, import.meta.url), 'utf8')
  const report = JSON.parse(read('benchmark/results/simulation.json'))
  for (const [name, svg] of Object.entries(plots(report)))
    assert.ok(read(`docs/scale/${name}`) === svg, `${name} is another one`)
  const words = (text) => text.replace(/[-\s|:]+/g, ' ')
  const document = words(read('docs/scale.md'))
  for (const [name, table] of Object.entries(tables(report))) {
    assert.ok(document.includes(words(table)), `the table ${name} is another one: run \`npm run simulate\``)
  }
})
