/** A process that makes ten million calls while one fault follows another: every single promise is to settle. */

import assert from 'node:assert/strict'

import { assertEnded, program, start } from '../support/child.mjs'
import { sleep } from '../support/wait.mjs'
import { LIMIT, WINDOW } from './model.mjs'

/** Faults that leave Redis what it has counted, so that no key may have more than its limit of it: how each begins and ends. */
const FAULTS = [
  [(node) => node.halt(), (node) => node.goOn()],
  [({ proxy }) => proxy.refuse(), ({ proxy }) => proxy.accept()],
  [({ proxy }) => proxy.behave({ stall: true }), ({ proxy }) => proxy.behave()],
  [({ proxy }) => proxy.behave({ cutAfter: 10 }), ({ proxy }) => proxy.behave()],
  [({ proxy }) => proxy.behave({ delayAskedMs: 100, delayAnsweredMs: 100 }), ({ proxy }) => proxy.behave()],
  [(node) => node.together(['SCRIPT', 'FLUSH'], ['FUNCTION', 'FLUSH']), () => {}],
  [({ proxy }) => proxy.reset(), () => {}],
]

export async function manyCalls(scene) {
  const stage = await scene.start()
  const calls = scene.long ? 10_000_000 : 100_000
  const options = JSON.stringify({ ...stage.options, limit: LIMIT, window: WINDOW })
  const child = start(program('many-calls.mjs'), { args: [options, calls], within: 600_000 })
  scene.after(() => child.stop('SIGKILL'))
  await child.message()
  let report
  const reported = child.message().then((message) => (report = message))
  let faults = 0
  for (; report === undefined; faults += 1) {
    const [begin, end] = FAULTS[faults % FAULTS.length]
    await stage.each(async (node) => begin(node))
    await Promise.race([reported, sleep(scene.lasts)])
    await stage.each(async (node) => end(node))
    await Promise.race([reported, sleep(scene.lasts)])
  }
  await reported
  assertEnded(await child.ended, 'a process with a great many calls')
  const { made, settled, rejected, sources, callsPerSecond, over } = report
  assert.equal(made, calls)
  assert.equal(rejected, 0, 'with onStoreError local nothing rejects')
  assert.ok(sources.redis > 0 && sources.fallback > 0, `Redis decided, and the fallback: ${JSON.stringify(sources)}`)
  const count = (number) => Math.round(number).toLocaleString('en')
  const note = `${count(made)} calls at ${count(callsPerSecond)}/s through ${faults} faults, ${count(sources.redis)} of them decided by Redis`
  return { unsettled: made - settled, over, note }
}
