/** Every row of the table of faults, briefly: what is not a figure of the machine. `npm run chaos` measures them. */

import assert from 'node:assert/strict'
import { describe, test } from 'node:test'

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
