/** Every row of the table of faults, briefly: what is not a figure of the machine. `npm run chaos` measures them. */

import assert from 'node:assert/strict'
import { describe, test } from 'node:test'

import { LIMIT, Model } from './chaos/model.mjs'
import { play } from './chaos/play.mjs'
import { KINDS } from './chaos/rows.mjs'
import { TOPOLOGIES } from './chaos/topologies.mjs'
import { atMost, isLong } from './support/long.mjs'

for (const topology of TOPOLOGIES) {
  for (const { title, rows } of KINDS) {
    describe(`${title}, ${topology.name}`, { timeout: atMost(120_000) }, () => {
      for (const row of rows.filter(({ only }) => only?.includes(topology.name) ?? true)) {
        test(row.name, async () => {
          const { unsettled, unhandled, over } = await play(row, topology, { long: isLong })
          assert.equal(unsettled, 0, 'every promise settles')
          assert.deepEqual(unhandled, [], 'nothing is left uncaught')
          assert.equal(over, 0, 'nobody is admitted above a limit')
        })
      }
    })
  }
}

describe('the model that all rows are held against', () => {
  /** Decides so many calls on its first keys. */
  const told = (model, calls, allowed, source = 'redis') => {
    for (let call = 0; call < calls; call += 1) model.decided(model.nextKey(), allowed, source)
  }

  test('finds one admission too many, by whomever', () => {
    for (const source of ['redis', 'fallback']) {
      const model = new Model()
      told(model, LIMIT, true, source)
      assert.deepEqual(model.violations(), [])
      told(model, 1, true, source)
      assert.equal(model.violations().length, 1)
      assert.equal(model.overAdmitted(), 1)
    }
  })

  test('lets a key that was in use while data was lost have its limit once more, and no other', async () => {
    const model = new Model()
    told(model, 10, true)
    await model.forgets(() => {})
    told(model, LIMIT, true)
    assert.deepEqual(model.violations(), [])
    told(model, LIMIT, false)
    const fresh = model.nextKey()
    for (let call = 0; call <= LIMIT; call += 1) model.decided(fresh, true, 'redis')
    assert.equal(model.overAdmitted(), 1)
  })

  test('finds what was charged twice, and what was admitted and not counted', async () => {
    const model = new Model()
    told(model, 10, true)
    told(model, 3, true, 'fallback')
    assert.equal((await model.reconcile(async () => 10)).lost, 0)
    assert.equal((await model.reconcile(async () => 13)).lost, 3)
    await assert.rejects(
      model.reconcile(async () => 14),
      /charged twice/,
    )
    await assert.rejects(
      model.reconcile(async () => 9),
      /counted only 9/,
    )
  })

  test('has keys of which Redis, which counts no further than the limit, can tell that they were charged twice', async () => {
    const model = new Model()
    told(model, 5 * LIMIT, true, 'fallback')
    const tell = [...model.accounts.values()].filter(({ made }) => 2 * made <= LIMIT)
    assert.ok(tell.length > model.accounts.size / 2, `${tell.length} of ${model.accounts.size}`)
    const charged = (times) => async (key) => Math.min(LIMIT, times * model.accounts.get(key).made)
    await model.reconcile(charged(1))
    await assert.rejects(model.reconcile(charged(2)), /charged twice/)
  })
})
