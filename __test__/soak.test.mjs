/** The soak's judgement on series of every shape, and the soak itself, for as long as each of its faults takes once. */

import assert from 'node:assert/strict'
import { describe, test } from 'node:test'

import { randomOf } from './histories/random.mjs'
import { documentOf, verdictOf } from './soak/report.mjs'
import { soak } from './soak/run.mjs'
import { judge, median, slopeOf } from './soak/series.mjs'
import { draw } from './soak/picture.mjs'

/** A series of `count` samples, 5 s apart: `value(share)` of it, where `share` goes from 0 to 1, and noise of ± `noise`. */
function series(value, { noise = 0, count = 720, seed = 1 } = {}) {
  const random = randomOf(seed)
  return Array.from({ length: count }, (_, index) => ({
    at: index * 5,
    value: value(index / count) + (random.next() * 2 - 1) * noise,
  }))
}

const BOUND = 8
const isFlat = (points) => judge(points, BOUND).isFlat

describe('a series is flat', () => {
  const flat = {
    'that stays where it is': series(() => 100),
    'under noise wider than the bound': series(() => 100, { noise: 20 }),
    'that has grown to its bound in the first half': series((share) => 100 * Math.min(1, share * 2.2)),
    'that falls': series((share) => 100 - 50 * share),
    'that goes up and down': series((share) => 100 + 10 * Math.sin(share * 60)),
    'with spikes while something fails': series((share) => ((share * 720) % 12 < 2 ? 300 : 100), { noise: 2 }),
    'that climbs by less than the bound': series((share) => 100 + 14 * share),
    'of few samples': series(() => 100, { count: 3 }),
  }
  for (const [title, points] of Object.entries(flat)) test(title, () => assert.ok(isFlat(points)))
})

describe('a series grows', () => {
  const growing = {
    'that climbs steadily, by little more than the bound': series((share) => 100 + 18 * share),
    'that climbs under noise twice as wide': series((share) => 100 + 24 * share, { noise: 24 }),
    'that climbs in steps, one a fault': series((share) => 100 + 2 * Math.floor(share * 12)),
    'that makes one step in the middle of the second half': series((share) => 100 + (share > 0.75 ? 10 : 0)),
    'that makes one step late': series((share) => 100 + (share > 0.85 ? 10 : 0)),
    'that climbs beneath spikes': series((share) => ((share * 720) % 12 < 2 ? 300 : 100 + 20 * share)),
    'that climbs ever faster': series((share) => 100 + 20 * share ** 4),
  }
  for (const [title, points] of Object.entries(growing)) test(title, () => assert.ok(!isFlat(points)))
})

test('the slope is the median one: nearly a third of the points may lie anywhere', () => {
  const points = series((share) => 720 * 5 * share)
  assert.ok(Math.abs(slopeOf(points) - 1) < 1e-9)
  const random = randomOf(3)
  const wild = points.map((point) => (random.next() < 0.25 ? { ...point, value: random.next() * 1e6 } : point))
  assert.ok(Math.abs(slopeOf(wild) - 1) < 0.5, `${slopeOf(wild)}`)
  assert.deepEqual([median([3]), median([4, 1]), median([9, 1, 5])], [3, 2.5, 5])
})

describe('the soak itself, briefly', { timeout: 180_000 }, () => {
  test('each fault once; every call settles, and nothing is left uncaught', async (t) => {
    const [everyMs, kinds] = [1_000, 12]
    const pace = { rate: 1_000, everyMs, lastsMs: 200, sampleMs: 250 }
    const measured = await soak({ ...pace, lengthMs: 0, turns: kinds })
    t.diagnostic(JSON.stringify(measured.calls))
    assert.equal(new Set(measured.faults.map(({ name }) => name)).size, kinds)
    assert.equal(measured.unsettled, 0)
    assert.deepEqual(measured.unexpected, [])
    assert.deepEqual(measured.unhandled, [])
    const { redis, client, memory, fallback } = measured.calls.sources
    assert.ok(redis > 0 && client > 0 && memory > 0 && fallback > 0, JSON.stringify(measured.calls))
    assert.ok(measured.samples.length > 10)

    const found = { ...measured, ...pace, machine: 'a machine' }
    for (const { name } of measured.faults) assert.ok(documentOf(found).includes(name), name)
    assert.match(draw(found), /^<svg [^]*<\/svg>\n$/)
  })

  test('what is wrong is said', () => {
    const steady = { rss: 2 ** 27, heap: 2 ** 23, descriptors: 40, threads: 12 }
    const samples = Array.from({ length: 100 }, (_, at) => ({ at, ...steady }))
    const well = { samples, unsettled: 0, unexpected: [], unhandled: [] }
    assert.deepEqual(verdictOf(well).failures, [])
    for (const [wrong, says] of [
      [
        { samples: samples.map((sample) => ({ ...sample, rss: sample.rss + sample.at * 2 ** 18 })) },
        /resident memory grew/,
      ],
      [{ samples: samples.map((sample) => ({ ...sample, heap: sample.heap + sample.at * 2 ** 15 })) }, /heap .* grew/],
      [{ samples: samples.map((sample) => ({ ...sample, descriptors: 40 + sample.at / 20 })) }, /descriptors grew/],
      [{ samples: samples.map((sample) => ({ ...sample, threads: sample.at > 70 ? 13 : 12 })) }, /threads grew/],
      [{ unsettled: 1 }, /1 calls were never settled/],
      [{ unexpected: [new TypeError('no')] }, /TypeError: no/],
      [{ unhandled: [new Error('lost')] }, /nobody caught Error: lost/],
    ]) {
      const { failures } = verdictOf({ ...well, ...wrong })
      assert.equal(failures.length, 1, failures.join('; '))
      assert.match(failures[0], says)
    }
  })
})
