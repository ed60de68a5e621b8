/** The memory that this process holds once nothing collectable is left. */

import { setTimeout as sleep } from 'node:timers/promises'

/** Resident set size in bytes after collections. Needs `node --expose-gc`. */
export async function settledRss() {
  await settle()
  return process.memoryUsage.rss()
}

/** The part of it that is not V8's heap: that one's nursery grows with the garbage of the calls, whatever they call. */
export async function settledOutsideOfHeap() {
  await settle()
  const { rss, heapTotal } = process.memoryUsage()
  return rss - heapTotal
}

async function settle() {
  // One collection finalizes, the next one frees; V8 gives pages back a moment later, on a thread of its own.
  for (let collection = 0; collection < 3; collection++) {
    globalThis.gc()
    await sleep(100)
  }
}
