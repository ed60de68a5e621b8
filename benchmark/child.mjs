/** A measurement in a process of its own, so that no heap, JIT or event loop is shared between two of them. */

import { fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'

/**
 * Runs the module at `url`, which calls {@link answer}, and resolves with what it measured.
 * Rejects with the reason when it fails, ends early, is aborted, or takes longer than `timeoutMs`.
 */
export function runInChild(url, job, { execArgv = [], signal, timeoutMs = 120_000 } = {}) {
  return new Promise((resolve, reject) => {
    const child = fork(fileURLToPath(url), [JSON.stringify(job)], {
      execArgv,
      signal,
      timeout: timeoutMs,
      killSignal: 'SIGKILL',
    })
    let answered
    child.on('message', (message) => (answered = message))
    child.on('error', reject)
    child.on('exit', (code, killedBy) => {
      if (answered === undefined) reject(new Error(`ended without an answer (${killedBy ?? `exit code ${code}`})`))
      else if (answered.error !== undefined) reject(new Error(answered.error))
      else resolve(answered.figures)
    })
  })
}

/** The child's side: measures the job that it was given, tells its parent, and ends whatever is still open. */
export async function answer(measure) {
  process.once('disconnect', () => process.exit(1))
  const message = await measure(JSON.parse(process.argv[2])).then(
    (figures) => ({ figures }),
    (error) => ({ error: error?.message ?? String(error) }),
  )
  process.send(message, () => process.exit(0))
}
