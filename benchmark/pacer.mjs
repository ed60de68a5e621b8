/** A steady beat that is faster than timers: Node's are of whole milliseconds. */

import { Worker, isMainThread, parentPort, workerData } from 'node:worker_threads'

/**
 * Calls `beat` with 0, 1, 2, … so often a second, for so long. Beats that are late follow at once; resolves with how many did,
 * which on a machine with something else to do are many.
 */
export async function pace(perSecond, durationMs, beat) {
  const worker = new Worker(new URL(import.meta.url), { workerData: { perSecond, durationMs } })
  let [beats, late] = [0, 0]
  await new Promise((resolve, reject) => {
    worker.on('message', (due) => {
      late += Math.max(0, due - beats - 1)
      while (beats < due) beat(beats++)
    })
    worker.on('error', reject)
    worker.on('exit', resolve)
  })
  return { beats, late }
}

/** Says how many beats are due, whenever one is. A thread that waits for nothing wakes to some ten microseconds. */
function keepTime({ perSecond, durationMs }) {
  const nothing = new Int32Array(new SharedArrayBuffer(4))
  const beats = Math.round((perSecond * durationMs) / 1e3)
  const start = performance.now()
  for (let said = 0; said < beats;) {
    const due = Math.min(beats, Math.floor(((performance.now() - start) * perSecond) / 1e3) + 1)
    if (due > said) parentPort.postMessage((said = due))
    const wait = start + (said * 1e3) / perSecond - performance.now()
    if (wait > 0) Atomics.wait(nothing, 0, 0, wait)
  }
}

if (!isMainThread && workerData?.perSecond) keepTime(workerData)
