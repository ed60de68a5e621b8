/** A process that makes 50,000 calls a second into a black hole, and what that costs it in memory. */

import assert from 'node:assert/strict'

import { assertEnded, program, start } from '../support/child.mjs'
import { WINDOW } from './model.mjs'

const MIB = 2 ** 20
/** What it may grow by while it lasts, and what may be left of it afterwards. */
const MOST_DURING = 16 * MIB
const MOST_AFTER = 2 * MIB
/** In the short form the allocator's moods are as large as that, and so is what a busy machine leaves undone for a moment. */
const MOODS = 2

export async function blackHole(scene) {
  const stage = await scene.start()
  const seconds = scene.long ? 60 : 2
  const options = JSON.stringify({ ...stage.options, limit: 1_000_000, window: WINDOW })
  const child = start(program('black-hole.mjs'), {
    args: [options],
    // A small nursery: what V8 lets it grow by is no affair of ours, and would hide what is.
    nodeArgs: ['--expose-gc', '--max-semi-space-size=1'],
    within: seconds * 1_000 + 120_000,
  })
  scene.after(() => child.stop('SIGKILL'))
  await child.message()
  const fallIn = async (length) => {
    await stage.each(async ({ proxy }) => proxy.behave({ stall: true }))
    child.send(length)
    await child.message()
    await stage.each(async ({ proxy }) => proxy.behave())
    child.send('light')
    return child.message()
  }
  // What comes once and stays, the fallback's table and compiled code, came with the first; the second shows what grows.
  await fallIn(1)
  const report = await fallIn(seconds)
  child.send(0)
  assertEnded(await child.ended, 'a process in a black hole')

  assert.deepEqual(report.rejected, [], 'with onStoreError local nothing rejects')
  assert.equal(report.unsettled, 0)
  assert.ok(report.fallback > 0, 'the fallback decided')
  const mib = (bytes) => `${(bytes / MIB).toFixed(1)} MiB`
  const grew = `${mib(report.grewDuring)} more while it lasted, ${mib(report.grewAfter)} after it`
  const [during, after] = [MOST_DURING, MOST_AFTER].map((most) => (scene.long ? most : MOODS * most))
  assert.ok(report.grewDuring <= during, `at most ${mib(during)}: ${grew}`)
  assert.ok(report.grewAfter <= after, `at most ${mib(after)} stay: ${grew}`)
  const { unsettled, p99Ms, returnMs, callsPerSecond } = report
  const rate = `${Math.round(callsPerSecond).toLocaleString('en')} calls/s for ${seconds} s`
  return { unsettled, over: 0, p99Ms, returnMs, note: `${rate}: ${grew}` }
}
