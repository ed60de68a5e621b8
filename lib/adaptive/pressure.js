// Reads the signals every 100 ms, where no timer comes as often with the calls, and tells the controller, which is in Rust
// (src/adaptive/controller.rs), the highest of them.
'use strict'

const { signalsOf } = require('./signals.js')

const TICK_MS = 100

/** The native functions by which units are taken. */
const DECIDE = ['isAllowed', 'isAllowedSync', 'check', 'reserve', 'hold']

class Pressure {
  #observe
  #tell
  #signals
  #latencies
  #end
  #timer
  /** When the timer came last, and when the signals were read last. */
  #timerAt = performance.now()
  #last = this.#timerAt
  #multiplier = 1
  #own = 1
  #instances = 1
  #scope
  #shares
  #priorities
  #load = 0
  #read = {}
  #failures = 0
  #failing = new Set()
  #isReading = false

  /** `observe(now, load)` is the controller; `tell(event, what)` hears of what the application is to be told. */
  constructor(options, observe, tell) {
    this.#observe = observe
    this.#tell = tell
    this.#priorities = options.priorities ?? ['normal']
    this.#scope = options.scope ?? 'instance'
    const { signals, latencies, end } = signalsOf(options)
    this.#signals = signals
    this.#latencies = latencies
    this.#end = end
    this.#hear(0)
    // Weak, so that a limiter which the application has dropped can be collected.
    const held = new WeakRef(this)
    const timer = setInterval(() => {
      const pressure = held.deref()
      if (pressure !== undefined) return pressure.tick()
      clearInterval(timer)
      end()
    }, TICK_MS)
    this.#timer = timer.unref()
  }

  /** Whether response times are of use. */
  get measuresLatency() {
    return this.#latencies !== undefined
  }

  latency(ms) {
    this.#latencies?.add(ms)
  }

  /** Whether calls of this priority have less than their whole limits; without one, those that name none. */
  isReduced(priority) {
    return this.left(priority) < 1
  }

  /** What is left of the limits for calls of that priority, at most 1. */
  left(priority) {
    const index = priority === undefined ? usualOf(this.#priorities) : this.#priorities.indexOf(priority)
    return this.#shares[index]
  }

  /** For `stats()`. */
  stats() {
    const priorities = Object.fromEntries(this.#priorities.map((name, index) => [name, this.#shares[index]]))
    return {
      multiplier: this.#multiplier,
      scope: this.#scope,
      own: this.#own,
      instances: this.#instances,
      load: this.#load,
      signals: { ...this.#read },
      priorities,
      failures: this.#failures,
    }
  }

  close() {
    clearInterval(this.#timer)
    // No timer is late any more.
    this.#timerAt = Infinity
    this.#end()
  }

  /** Called by the timer; a test calls it itself, and says what time it is. */
  tick(now = performance.now()) {
    const lateMs = now - this.#timerAt - TICK_MS
    this.#timerAt = now
    this.#observed(now, { lateMs, isTick: true })
  }

  /**
   * The functions that decide, each of which looks first whether the timer is late. A loop that works off what has come in runs no timer
   * until it is through, and lets in then all that it has to do next: it must hear of its load while it does.
   */
  looking(calls) {
    const first =
      (call) =>
      (...given) => {
        this.#look(performance.now())
        return call(...given)
      }
    const looking = DECIDE.map((name) => [name, first(calls[name])])
    return { ...calls, ...Object.fromEntries(looking) }
  }

  #look(now) {
    const lateMs = now - this.#timerAt - TICK_MS
    // A signal may call the limiter itself.
    if (lateMs >= TICK_MS && now - this.#last >= TICK_MS && !this.#isReading)
      this.#observed(now, { lateMs, isTick: false })
  }

  #observed(now, { lateMs, isTick }) {
    const times = { sinceMs: now - this.#last, lateMs: Math.max(0, lateMs), isTick }
    this.#last = now
    this.#isReading = true
    const read = []
    for (const [name, signal] of this.#signals) {
      const load = this.#ask(name, signal, times)
      if (load !== undefined) read.push([name, load])
    }
    this.#isReading = false
    this.#read = Object.fromEntries(read)
    // Without a signal that says anything nothing is known to be overloaded.
    this.#hear(Math.max(0, ...read.map(([, load]) => load)), now)
  }

  #hear(load, now = this.#last) {
    const before = this.#multiplier
    const [multiplier, own, instances, ...shares] = this.#observe(now, load)
    this.#multiplier = multiplier
    this.#own = own
    this.#instances = instances
    this.#shares = shares
    this.#load = load
    if (before < 1 !== multiplier < 1) this.#tell('adaptive', { multiplier, load })
  }

  /** What a signal says; nothing where it fails, of which the application is told once until it says something again. */
  #ask(name, signal, times) {
    let cause
    try {
      const load = signal(times)
      if (typeof load === 'number' && load >= 0 && load < Infinity) {
        this.#failing.delete(name)
        return load
      }
      // A promise that nobody waits for must not end the process when it is rejected.
      if (typeof load?.then === 'function') load.then(undefined, () => {})
      cause = new TypeError(
        `the signal '${name}' must return a number, 0 or more, but returned ${typeof load === 'number' ? load : `a value of type ${typeof load}`}`,
      )
    } catch (error) {
      cause = error
    }
    this.#failures += 1
    if (!this.#failing.has(name)) {
      this.#failing.add(name)
      const error = new Error(`the signal '${name}' fails and is ignored`, { cause })
      this.#tell('signalFailed', Object.assign(error, { code: 'ERR_RATE_LIMIT_SIGNAL' }))
    }
    return undefined
  }
}

/** The index of the priority of a call that names none: see `Classes::usual` in src/adaptive/classes.rs. */
function usualOf(priorities) {
  const normal = priorities.indexOf('normal')
  return normal >= 0 ? normal : Math.floor(priorities.length / 2)
}

module.exports = { Pressure }
