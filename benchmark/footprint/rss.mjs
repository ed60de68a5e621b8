/** The memory that this process holds once nothing collectable is left. */

import { setTimeout as sleep } from 'node:timers/promises'

/** Resident set size in bytes after collections. Needs `node --expose-gc`. */
export async function settledRss() {
  // One collection finalizes, the next one frees; V8 gives pages back a moment later, on a thread of its own.
  for (let collection = 0; collection < 3; collection++) {
    globalThis.gc()
    await sleep(100)
  }
  return process.memoryUsage.rss()
}
