/** Keeps what a limiter tells of its store, and what nobody caught. */

/** A logger, and lists of what was told and emitted, in order. */
export function witness() {
  const told = []
  const events = []
  const evictions = []
  return {
    told,
    events,
    /** The policies by which Redis was said to evict keys. */
    evictions,
    // As the loggers that people use, it needs to be called as a method.
    logger: {
      lines: told,
      warn(message) {
        this.lines.push(message)
      },
      error(message) {
        this.lines.push(message)
      },
    },
    /** Listens to `limiter`; returns it. */
    watch(limiter) {
      limiter.on('storeDown', (error) => events.push({ name: 'storeDown', error }))
      limiter.on('storeUp', () => events.push({ name: 'storeUp' }))
      limiter.on('storeEvicts', (policy) => evictions.push(policy))
      return limiter
    },
    get names() {
      return events.map(({ name }) => name)
    },
  }
}

/** Errors that reached the process since the last look. */
export function uncaught() {
  const seen = []
  process.on('unhandledRejection', (reason) => seen.push(reason))
  process.on('uncaughtException', (error) => seen.push(error))
  return () => seen.splice(0)
}
