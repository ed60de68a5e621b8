// Tells an application when a limiter denies too much, when its circuit stays open, or when its store is slow: once when that begins,
// and once when it ends.
'use strict'

const { badOption } = require('../lib/errors.js')
const { read, readDuration, readName } = require('./options.js')
const { quantile, since } = require('./quantile.js')
const { assertLimiter, untilClosed } = require('./watched.js')

const CHECKS_A_WINDOW = 20
const SHORTEST_MS = 100
const LONGEST_MS = 5_000
// Where it is not said when an alert ends, it ends a fifth below where it began: at one bound it would begin and end with each look.
const ENDS_AT = 0.8

const TIME = { now: () => performance.now(), setInterval, clearInterval }

/** The kinds of alert: how their options are read, and what each makes of the samples within its time. */
const KINDS = {
  denyRate: {
    options: ['above', 'below', 'over', 'atLeast'],
    read: (given) => ({
      ...readBounds('denyRate', given, (bound) => bound >= 0 && bound < 1, 'a share from 0 to below 1'),
      atLeast: readCount('denyRate.atLeast', given.atLeast),
      ms: readDuration(given.over, 'denyRate.over'),
    }),
    measure: ({ atLeast }, earlier, later) => {
      const denied = later.denied - earlier.denied
      const all = denied + later.allowed - earlier.allowed
      return all < atLeast ? NaN : denied / all
    },
  },
  latency: {
    options: ['above', 'below', 'quantile', 'over', 'atLeast'],
    read: (given) => ({
      ...readBounds('latency', given, (bound) => bound > 0, 'milliseconds above 0'),
      quantile: readQuantile(given.quantile),
      atLeast: readCount('latency.atLeast', given.atLeast),
      ms: readDuration(given.over, 'latency.over'),
    }),
    measure: ({ quantile: q, atLeast }, earlier, later) => {
      const taken = since(earlier.latency, later.latency)
      return taken.count < atLeast ? NaN : quantile(taken, q)
    },
  },
  circuitOpen: {
    options: ['for'],
    read: (given) => ({ ms: readDuration(given.for, 'circuitOpen.for') }),
  },
}

/**
 * Looks at `limiter.stats()` on a timer that keeps no process alive, until the limiter is closed or dropped, or until the function
 * that this returns is called. Nothing that `onAlert` does can reach the application's calls: what it throws becomes a warning of the
 * process.
 */
function alert(limiter, options) {
  assertLimiter(limiter)
  const { rules, onAlert, every, name, time } = readOptions(options)
  const watch = new Watch(rules, (alert) => tell(onAlert, { ...alert, name }))
  const held = new WeakRef(limiter)
  const look = () => {
    const limiter = held.deref()
    if (limiter !== undefined) watch.look(limiter.stats(), time.now())
  }
  look()
  const timer = time.setInterval(look, every)
  timer?.unref?.()
  return untilClosed(limiter, () => time.clearInterval(timer))
}

/** What is known of a limiter from looking at it again and again. */
class Watch {
  #samples = []
  #rules
  #tell
  #longest

  constructor(rules, tell) {
    this.#rules = rules.map((rule) => ({ ...rule, since: undefined, firing: false }))
    this.#tell = tell
    this.#longest = Math.max(...rules.map(({ ms }) => ms))
  }

  look(stats, now) {
    this.#samples.push({ stats, now })
    // The last one that is old enough stays: what was counted since then is what was counted over the time.
    while (this.#samples.length > 2 && this.#samples[1].now <= now - this.#longest) this.#samples.shift()
    for (const rule of this.#rules) {
      if (rule.alert === 'circuitOpen') this.#lookAtCircuit(rule, stats, now)
      else this.#lookAtRate(rule, stats, now)
    }
  }

  /** Half-open is not well: it ends with the circuit closed. */
  #lookAtCircuit(rule, { circuit }, now) {
    if (circuit !== 'open' && circuit !== 'half-open') {
      rule.since = undefined
      return this.#set(rule, false, 0)
    }
    rule.since ??= now
    if (now - rule.since >= rule.ms) this.#set(rule, true, now - rule.since)
  }

  #lookAtRate(rule, stats, now) {
    const earlier = this.#samples.findLast((sample) => sample.now <= now - rule.ms) ?? this.#samples[0]
    const value = KINDS[rule.alert].measure(rule, earlier.stats, stats)
    // Too little was asked to say anything, so nothing can be as bad as was told.
    if (Number.isNaN(value)) return this.#set(rule, false, 0)
    if (value > rule.above) this.#set(rule, true, value)
    else if (value <= rule.below) this.#set(rule, false, value)
  }

  #set(rule, firing, value) {
    if (rule.firing === firing) return
    rule.firing = firing
    this.#tell({ alert: rule.alert, state: firing ? 'firing' : 'resolved', value, threshold: rule.above ?? rule.ms })
  }
}

async function tell(onAlert, alert) {
  try {
    await onAlert(alert)
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error)
    process.emitWarning(`onAlert of distributed-rate-limiter has failed: ${why}`, 'RateLimiterAlertWarning')
  }
}

function readOptions(options) {
  const given = read(options, [...Object.keys(KINDS), 'onAlert', 'every', 'name', 'time'])
  if (typeof given.onAlert !== 'function') throw badOption(TypeError, 'onAlert', 'a function', given.onAlert)
  const rules = Object.keys(KINDS)
    .filter((alert) => given[alert] !== undefined)
    .map((alert) => ({ alert, ...KINDS[alert].read(read(given[alert], KINDS[alert].options, alert)) }))
  if (rules.length === 0) {
    throw badOption(TypeError, 'options', `an object with at least one of ${Object.keys(KINDS).join(', ')}`, undefined)
  }
  const shortest = Math.min(...rules.map(({ ms }) => ms))
  const often = Math.min(LONGEST_MS, Math.max(SHORTEST_MS, shortest / CHECKS_A_WINDOW))
  const every = given.every === undefined ? often : readDuration(given.every, 'every')
  return { rules, onAlert: given.onAlert, every, name: readName(given.name), time: given.time ?? TIME }
}

function readBounds(what, { above, below = above * ENDS_AT }, isValid, expected) {
  for (const [name, value] of [
    ['above', above],
    ['below', below],
  ]) {
    if (typeof value !== 'number' || !isValid(value)) {
      throw badOption(typeof value === 'number' ? RangeError : TypeError, `${what}.${name}`, expected, value)
    }
  }
  if (below > above) throw badOption(RangeError, `${what}.below`, 'no more than its `above`', below)
  return { above, below }
}

function readQuantile(value = 0.99) {
  if (typeof value === 'number' && value > 0 && value < 1) return value
  throw badOption(RangeError, 'latency.quantile', 'a share between 0 and 1', value)
}

function readCount(what, value = 1) {
  if (Number.isInteger(value) && value >= 1) return value
  throw badOption(RangeError, what, 'a whole number, 1 or more', value)
}

module.exports = { alert }
