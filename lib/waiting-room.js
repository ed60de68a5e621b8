// Callers that wait until they are allowed: first come, first served for each key, within this process.
//
// The first of a key's line asks the store. A bucket's time can be booked ahead, so there it is told at once when its turn is
// and makes way for the next; a window's cannot, so there it asks again when the store said it would be worth it. Whoever gives
// up leaves the line, and gives back what was booked.
'use strict'

const { setTimeout: sleep } = require('node:timers/promises')
const { badOption } = require('./errors.js')

// What a timer of Node's can count, and the longest wait that the store lets anybody book.
const LONGEST_SLEEP_MS = 2 ** 31 - 1
const LONGEST_WAIT_MS = 86_400_000

class WaitingRoom {
  #store
  /** Of each key the callers that have no place yet, in the order in which they came. */
  #lines = new Map()

  /** `store` reserves, peeks and refunds. */
  constructor(store) {
    this.#store = store
  }

  async acquire(key, options = {}) {
    const { maxWait, signal, ...call } = readOptions(options)
    signal?.throwIfAborted()
    const waiter = new Waiter(key, call, maxWait, signal)
    const id = JSON.stringify([key, call.action, call.limit, call.window])
    const line = this.#lines.get(id) ?? []
    if (line.length === 0) this.#lines.set(id, line)
    line.push(waiter)
    try {
      if (line[0] !== waiter) {
        const denial = await this.#waitForTurn(line, waiter)
        if (denial !== undefined) return denial
      }
      return await this.#beFirst(line, waiter)
    } finally {
      this.#leave(id, line, waiter)
      waiter.end()
    }
  }

  /** Has everybody who sleeps look again: the limiter has been closed. */
  wake() {
    for (const line of this.#lines.values()) line[0]?.wake()
  }

  /** Waits to be first. Resolves with a denial where that is known to take too long. */
  async #waitForTurn(line, waiter) {
    const turn = new Promise((resolve) => (waiter.becomeFirst = () => resolve()))
    if (waiter.deadline === Infinity) return waiter.until(turn)
    const denial = await waiter.until(this.#deniedBehind(line, waiter))
    if (denial !== undefined && line[0] !== waiter) return denial
    if (line[0] === waiter) return undefined
    const late = Symbol('late')
    if ((await waiter.until(turn, waiter.remaining(), late)) !== late) return undefined
    return { ...(await this.#store.peek(waiter.key, waiter.call)), allowed: false, granted: 0 }
  }

  /** The denial of a caller for whom those ahead leave nothing in time, as far as can be known now. */
  async #deniedBehind(line, waiter) {
    const ahead = line.slice(0, line.indexOf(waiter)).reduce((sum, { cost }) => sum + cost, 0)
    const { limit } = await this.#store.peek(waiter.key, waiter.options())
    const wanted = Math.min(ahead + waiter.cost, limit)
    const decision = await this.#store.peek(waiter.key, waiter.options(wanted))
    const tooLong = !decision.allowed && decision.retryAfterMs > waiter.remaining()
    return tooLong ? { ...decision, granted: 0 } : undefined
  }

  /** Asks until the answer is final, then waits for the place that was booked. */
  async #beFirst(line, waiter) {
    for (;;) {
      const patience = Math.min(Math.max(waiter.remaining(), 0), LONGEST_WAIT_MS)
      const decision = await this.#reserve(waiter, patience)
      if (decision.allowed) {
        this.#makeWay(line, waiter)
        return this.#waitForPlace(waiter, decision)
      }
      if (decision.retryAfterMs > waiter.remaining()) return decision
      await waiter.until(waiter.woken(), decision.retryAfterMs)
    }
  }

  async #reserve(waiter, patience) {
    const decision = await this.#store.reserve(waiter.key, waiter.call, patience)
    if (waiter.signal?.aborted) {
      if (decision.allowed) await this.#giveBack(waiter)
      throw waiter.signal.reason
    }
    return decision
  }

  async #waitForPlace(waiter, decision) {
    if (decision.delayMs === 0) return decision
    try {
      await waiter.until(new Promise(() => {}), decision.delayMs)
    } catch (error) {
      await this.#giveBack(waiter)
      throw error
    }
    return { ...decision, delayMs: 0 }
  }

  /** What cannot be given back is forgotten by the store in time: the one who gave up is not to hear of it. */
  async #giveBack({ key, call: { cost, ...options }, cost: units }) {
    await this.#store.refund(key, units, options).catch(() => {})
  }

  #makeWay(line, waiter) {
    const place = line.indexOf(waiter)
    if (place !== -1) line.splice(place, 1)
    if (place === 0) line[0]?.becomeFirst?.()
  }

  #leave(id, line, waiter) {
    this.#makeWay(line, waiter)
    if (line.length === 0 && this.#lines.get(id) === line) this.#lines.delete(id)
  }
}

/** Somebody who waits: for how long, and until they give up. */
class Waiter {
  #abort
  #gaveUp
  #wake

  constructor(key, call, maxWait, signal) {
    this.key = key
    this.call = call
    this.signal = signal
    this.deadline = maxWait === undefined ? Infinity : performance.now() + maxWait
    this.becomeFirst = undefined
    if (signal !== undefined) {
      this.#gaveUp = new Promise((_, reject) => (this.#abort = () => reject(signal.reason)))
      this.#gaveUp.catch(() => {})
      signal.addEventListener('abort', this.#abort, { once: true })
    }
  }

  get cost() {
    return this.call.cost ?? 1
  }

  /** Options of a call that asks for so many units. */
  options(cost = this.call.cost) {
    return cost === undefined ? this.call : { ...this.call, cost }
  }

  remaining() {
    return this.deadline - performance.now()
  }

  /** Resolves when somebody calls `wake`. */
  woken() {
    return new Promise((resolve) => (this.#wake = resolve))
  }

  wake() {
    this.#wake?.()
  }

  /** Waits for `event`, for `ms` at most where that is given, then answers `late`. Rejects when the waiter gives up. */
  async until(event, ms, late) {
    const events = this.#gaveUp === undefined ? [event] : [event, this.#gaveUp]
    if (ms === undefined) return Promise.race(events)
    const end = performance.now() + ms
    const timer = new AbortController()
    const timeIsUp = (async () => {
      for (let left = ms; left > 0; left = end - performance.now()) {
        await sleep(Math.min(Math.ceil(left), LONGEST_SLEEP_MS), undefined, { signal: timer.signal })
      }
      return late
    })()
    timeIsUp.catch(() => {})
    try {
      return await Promise.race([...events, timeIsUp])
    } finally {
      timer.abort()
    }
  }

  end() {
    this.signal?.removeEventListener('abort', this.#abort)
  }
}

const UNITS_MS = { ms: 1, s: 1e3, m: 60e3, h: 3_600e3, d: 86_400e3 }

/** The options of `acquire`. Those that every call has are checked where it is decided. */
function readOptions(options) {
  if (typeof options !== 'object' || options === null || Array.isArray(options)) {
    throw badOption(TypeError, 'options', "an object such as { maxWait: '5s' }", options)
  }
  const { signal, maxWait, ...call } = options
  if (signal !== undefined && !(signal instanceof AbortSignal)) {
    throw badOption(TypeError, 'signal', 'an AbortSignal', signal)
  }
  return { ...call, signal, maxWait: maxWait === undefined ? undefined : readWait(maxWait) }
}

function readWait(maxWait) {
  const [, number, unit] = typeof maxWait === 'string' ? (/^(\d+(?:\.\d+)?)(ms|s|m|h|d)$/.exec(maxWait) ?? []) : []
  const ms = typeof maxWait === 'number' ? maxWait : Number(number) * UNITS_MS[unit]
  if (ms >= 0 && ms <= LONGEST_WAIT_MS) return ms
  const Kind = typeof maxWait === 'number' || typeof maxWait === 'string' ? RangeError : TypeError
  throw badOption(
    Kind,
    'maxWait',
    "a duration from 0 to a day, in milliseconds or with a unit as in '500ms', '10s', '1m'",
    maxWait,
  )
}

module.exports = { WaitingRoom }
