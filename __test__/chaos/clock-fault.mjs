/** A Redis whose time of day is set by the test. For Linux. */

import assert from 'node:assert/strict'

import { ALGORITHMS } from '../support/algorithms.mjs'
import { movedClock } from '../support/moved-clock.mjs'
import { ordeal, watched } from './ordeal.mjs'

const HOUR_S = 3_600
const MINUTE_MS = 60_000

/** An hour forward under load, and back. */
export async function clockFault(scene) {
  const { env, moveTo } = movedClock(scene.after)
  const stage = await scene.start({ env })
  const minutes = ALGORITHMS.map((algorithm) => {
    const options = {
      ...stage.direct,
      algorithm,
      limit: 5,
      window: '1m',
      prefix: algorithm,
      timeout: '10s',
      denyCache: false,
    }
    return { algorithm, limiter: watched(scene, { ...options, onStoreError: 'throw' }).limiter }
  })
  const found = await ordeal(scene, stage, {
    during: 'redis',
    options: { timeout: '5s' },
    async fault() {
      for (const { limiter, algorithm } of minutes) await exhaust(limiter, algorithm)
      const [before] = await timesOf(stage)
      moveTo(HOUR_S)
      const [after] = await timesOf(stage)
      assert.ok(after - before >= HOUR_S, `the clock of Redis was moved by ${after - before} s`)
      // An hour has passed, for all that Redis can know.
      for (const { limiter, algorithm } of minutes) {
        assert.equal((await limiter.check('a')).allowed, true, `${algorithm}: a minute is over`)
        await exhaust(limiter, algorithm)
      }
    },
    async mend() {
      moveTo(0)
      for (const { limiter, algorithm } of minutes) {
        const { allowed, retryAfterMs } = await limiter.check('a')
        const waits = `${algorithm}: whoever is refused waits no longer for a clock that went back, not ${retryAfterMs} ms`
        assert.ok(allowed || retryAfterMs <= 2 * MINUTE_MS, waits)
      }
    },
  })
  return found
}

const timesOf = (stage) => stage.each(async (node) => Number((await node.command('TIME'))[0]))

/** Takes whatever there is. */
async function exhaust(limiter, what) {
  for (let call = 0; call < 20; call += 1) {
    const { allowed, source } = await limiter.check('a')
    assert.equal(source, 'redis')
    if (!allowed) return
  }
  throw new Error(`${what}: 20 calls were admitted of a limit of 5`)
}
