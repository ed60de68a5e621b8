/** What is watched of a process, and by how much it may grow. */

import { readdirSync } from 'node:fs'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

// What waits to be collected is no leak, so it is collected before a sample is taken.
setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc')

const MIB = 2 ** 20

/**
 * The bounds are for half an hour's calls or more, 3.6 million at 2,000 a second. If each left behind the smallest block that an
 * allocator has, 16 bytes, that would be 55 MiB: 8 are noise of the allocator, and not a leak of calls. A heap that was
 * just collected hardly has noise. What a fault leaves behind shows in descriptors and threads: each kind of fault comes back
 * at least twice in half an hour, so one that leaves one behind reaches the bound.
 */
export const MEASURES = [
  { name: 'rss', title: 'resident memory', unit: 'MiB', scale: MIB, bound: 8 * MIB },
  { name: 'heap', title: 'JavaScript heap after a collection', unit: 'MiB', scale: MIB, bound: 1 * MIB },
  { name: 'descriptors', title: 'open descriptors', unit: '', scale: 1, bound: 2 },
  { name: 'threads', title: 'threads', unit: '', scale: 1, bound: 1 },
]

/** One sample of this process. Linux tells of descriptors and threads; elsewhere they are 0. */
export function sample() {
  collect()
  const { rss, heapUsed } = process.memoryUsage()
  return { rss, heap: heapUsed, descriptors: entries('/proc/self/fd'), threads: entries('/proc/self/task') }
}

function entries(folder) {
  try {
    return readdirSync(folder).length
  } catch {
    return 0
  }
}
