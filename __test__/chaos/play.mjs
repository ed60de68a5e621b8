/** Plays one row on one topology: its scene is set and cleared, and what nobody caught is part of what was measured. */

import { uncaught } from '../support/witness.mjs'

/** How many callers and worker threads there are in `npm test` and in `npm run chaos`, and how long a fault lasts there. */
const SHORT = { long: false, callers: 30, threads: 50 }
const LONG = { long: true, lasts: 3_000, callers: 100, threads: 10_000 }

const takeUncaught = uncaught()

/** Resolves with what the row measured, and `unhandled`: errors that reached the process. Rejects where the row did not hold. */
export async function play(row, topology, { long = false, threads } = {}) {
  const cleanups = []
  const after = (cleanup) => cleanups.unshift(cleanup)
  const scene = {
    ...(long ? LONG : { ...SHORT, lasts: topology.shortMs }),
    ...(threads && { threads }),
    after,
    async start(options) {
      const stage = await topology.start(options)
      after(() => stage.stop())
      return stage
    },
  }
  takeUncaught()
  try {
    const measured = await row.run(scene)
    // A rejection that nobody handles is told a turn later.
    await new Promise(setImmediate)
    return { ...measured, unhandled: takeUncaught() }
  } finally {
    for (const cleanup of cleanups) await cleanup()
  }
}
