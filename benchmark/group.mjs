/** The processes of one contestant in one round, from their start to their end. */

import { fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'

const WORKER = fileURLToPath(new URL('./worker.mjs', import.meta.url))
// Much longer than anything takes: a contestant that hangs costs a run this, and no more.
const ASK_TIMEOUT_MS = 120_000

/** Starts `processes` of them; `job` is what they are told. */
export function startGroup(job, processes) {
  const workers = Array.from({ length: processes }, () => startWorker(job))
  return {
    contestantId: job.contestantId,
    workers,
    /** Has all of them do the same at the same time; resolves with what each answers. */
    ask: (method, ...args) => Promise.all(workers.map((worker) => worker.ask(method, ...args))),
    /** Ends whatever still runs. Safe twice. */
    stop: () => workers.forEach((worker) => worker.stop()),
  }
}

function startWorker(job) {
  // The fifth is for what a scenario sends while it measures.
  const stdio = ['inherit', 'inherit', 'inherit', 'ipc', 'pipe']
  const child = fork(WORKER, [JSON.stringify(job)], { stdio, serialization: 'advanced' })
  // A process that has ended is told of by whoever waits for its answer.
  child.stdio[4].on('error', () => {})
  let waiting
  const settle = (error, value) => {
    const { resolve, reject, timer } = waiting ?? {}
    waiting = undefined
    clearTimeout(timer)
    if (error) reject?.(new Error(error))
    else resolve?.(value)
  }
  child.on('message', ({ error, value }) => settle(error, value))
  child.on('error', (error) => settle(error.message))
  child.on('exit', (code, killedBy) => settle(`ended without an answer (${killedBy ?? `exit code ${code}`})`))

  return {
    /** A stream that its subject reads as file descriptor 4. */
    line: child.stdio[4],
    ask: (method, ...args) =>
      new Promise((resolve, reject) => {
        if (child.exitCode !== null || child.signalCode !== null) return reject(new Error('it has ended'))
        const timer = setTimeout(() => settle(`no answer to ${method} in ${ASK_TIMEOUT_MS} ms`), ASK_TIMEOUT_MS)
        waiting = { resolve, reject, timer }
        child.send({ method, args }, (error) => error && settle(error.message))
      }),
    stop() {
      child.kill('SIGKILL')
      settle('it was stopped')
    },
  }
}
