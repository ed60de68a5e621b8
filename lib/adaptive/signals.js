// What the load of this process is read from. A signal is a function that is asked every tick and answers a load: 1 is as loaded as the
// process may be.
'use strict'

const { monitorEventLoopDelay } = require('node:perf_hooks')
const { toMilliseconds } = require('../duration.js')
const { own } = require('../own.js')
const { Latencies } = require('./latencies.js')

const DEFAULT_SIGNALS = ['eventLoopLag']
const DEFAULT_TARGETS = { eventLoopLag: '50ms', cpu: 0.9, latency: '250ms' }

const RESOLUTION_MS = 10
const NS_PER_MS = 1e6

/** The signals of the option, which has been checked: `{ signals: [name, read][], latencies, end }`. */
function signalsOf({ signals = DEFAULT_SIGNALS, targets }) {
  const target = { ...DEFAULT_TARGETS, ...own(targets) }
  const ends = []
  let latencies
  const makers = {
    eventLoopLag: () => eventLoopLag(toMilliseconds(target.eventLoopLag), ends),
    cpu: () => cpu(target.cpu),
    latency: () => {
      latencies = new Latencies()
      const most = toMilliseconds(target.latency)
      return ({ isTick }) => latencies.read(isTick) / most
    },
  }
  const read = signals.map((signal, index) =>
    typeof signal === 'string' ? [signal, makers[signal]()] : [signal.name || `signal ${index + 1}`, signal],
  )
  return { signals: read, latencies, end: () => ends.forEach((end) => end()) }
}

/**
 * How late timers are on average: of those of 10 ms, and of the tick itself, before which none of the others may have come since the
 * loop stood still.
 */
function eventLoopLag(target, ends) {
  const delays = monitorEventLoopDelay({ resolution: RESOLUTION_MS })
  delays.enable()
  ends.push(() => delays.disable())
  return ({ lateMs }) => {
    const mean = delays.count > 0 ? delays.mean / NS_PER_MS - RESOLUTION_MS : 0
    delays.reset()
    return Math.max(mean, lateMs, 0) / target
  }
}

/** Seconds of a core in a second, of all threads of the process. */
function cpu(target) {
  let last = process.cpuUsage()
  return ({ sinceMs }) => {
    const { user, system } = process.cpuUsage(last)
    last = process.cpuUsage()
    return sinceMs > 0 ? (user + system) / 1_000 / sinceMs / target : 0
  }
}

module.exports = { signalsOf }
