/** Ending early: a signal aborts the run in progress, and everything that was started is taken down in order. */

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP']

/** An `AbortSignal` that the first such signal aborts. The second one ends the process at once. */
export function interruption() {
  const controller = new AbortController()
  for (const name of SIGNALS) {
    process.on(name, () => {
      if (controller.signal.aborted) process.exit(1)
      controller.abort(new Error(`interrupted by ${name}`))
    })
  }
  return controller.signal
}
