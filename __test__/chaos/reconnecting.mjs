/** Processes that share keys lose one Redis, and find it again, together. */

import assert from 'node:assert/strict'

import { assertEnded, program, start } from '../support/child.mjs'
import { sleep } from '../support/wait.mjs'
import { LIMIT, WINDOW } from './model.mjs'

export async function reconnecting(scene, processes) {
  const stage = await scene.start()
  const options = JSON.stringify({ ...stage.options, limit: LIMIT, window: WINDOW })
  const children = Array.from({ length: processes }, () =>
    start(program('reconnect.mjs'), { args: [options], within: 120_000 }),
  )
  scene.after(() => Promise.all(children.map((child) => child.stop('SIGKILL'))))
  await Promise.all(children.map((child) => child.message()))

  const tell = (word) =>
    Promise.all(
      children.map((child) => {
        child.send(word)
        return child.message()
      }),
    )
  await tell('fault')
  await stage.each(({ proxy }) => proxy.refuse())
  await sleep(scene.lasts)
  await tell('wait for the fallback')
  await stage.each(({ proxy }) => proxy.accept())
  const reports = await tell('mended')
  for (const child of children) assertEnded(await child.ended, 'a process that reconnected')

  const total = new Map()
  for (const { admitted } of reports) {
    for (const [key, units] of admitted) total.set(key, (total.get(key) ?? 0) + units)
  }
  const over = [...total.values()].reduce((sum, units) => sum + Math.max(0, units - LIMIT), 0)
  assert.equal(over, 0, `${processes} processes were admitted ${over} units above the limits`)
  for (const { violations } of reports) assert.deepEqual(violations, [])
  const worst = (field) => Math.max(...reports.map((report) => report[field]))
  return {
    unsettled: reports.reduce((sum, report) => sum + report.unsettled, 0),
    over,
    p99Ms: worst('p99Ms'),
    slowestMs: worst('slowestMs'),
    returnMs: worst('returnMs'),
  }
}
