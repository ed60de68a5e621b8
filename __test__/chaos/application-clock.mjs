/** A process whose time of day is set forward and back while it asks Redis, this process's memory, and a Redis that is silent. */

import { assertEnded, program, start } from '../support/child.mjs'
import { movedClock } from '../support/moved-clock.mjs'

export async function applicationClock(scene) {
  const stage = await scene.start()
  const { env } = movedClock(scene.after)
  const child = start(program('moved-clock.mjs'), { args: [JSON.stringify(stage.options)], env, within: 60_000 })
  scene.after(() => child.stop('SIGKILL'))
  for (let word; (word = await child.message()) !== 'done';) {
    await stage.each(async ({ proxy }) => proxy.behave({ stall: word === 'stall' }))
    child.send('so it is')
  }
  assertEnded(await child.ended, 'a process whose clock was set')
}
