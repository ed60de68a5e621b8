// Callers that wait until they are allowed: first come, first served for each key, within this process.
//
// The first of a key's line asks the store. A bucket's time can be booked ahead, so there it is told at once when its turn is
// and makes way for the next; a window's cannot, so there it asks again when the store said it would be worth it. Whoever gives
// up leaves the line, and gives back what was booked.
'use strict'

const { setTimeout: sleep } = require('node:timers/promises')
const { badOption } = require('./errors.js')
const { own } = require('./own.js')

// What a timer of Node's can count, and the longest wait that the store lets anybody book.
const LONGEST_SLEEP_MS = 2 ** 31 - 1
const LONGEST_WAIT_MS = 86_400_000

class WaitingRoom {
  #store
  /** Of each key the callers that have no place yet, in the order in which they came. */
  #lines = new Map()
  /** Those who wait for a place that was booked for them: who they are, and what ends their waiting. */
  #booked = new Map()
  /** Of each line the passing of whoever booked last. */
  #last = new Map()
  /** Of each caller that is here what they will be told. */
  #callers = new Set()
  #isClosed = false

  /** `store` reserves, peeks and takes back, and reads how long somebody would wait. */
  constructor(store) {
    this.#store = store
  }

  async acquire(key, options) {
    const answer = this.#queue(key, options)
    this.#callers.add(answer)
    try {
      return await answer
    } finally {
      this.#callers.delete(answer)
    }
  }

  async #queue(key, options) {
    const { maxWait, signal, call } = readOptions(options)
    const patience = maxWait === undefined ? Infinity : this.#store.patience(maxWait)
    signal?.throwIfAborted()
    const waiter = new Waiter(key, call, patience, signal)
    const id = lineOf(key, call)
    const line = this.#lines.get(id) ?? []
    if (line.length === 0) this.#lines.set(id, line)
    line.push(waiter)
    try {
      if (line[0] !== waiter) {
        const denial = await this.#waitForTurn(line, waiter)
        if (denial !== undefined) return denial
      }
      return await this.#beFirst(id, line, waiter)
    } finally {
      this.#leave(id, line, waiter)
      waiter.end()
    }
  }

  /**
   * Has everybody who waits ask again: the limiter has been closed, and they are to hear of it. Resolves when they have, and when
   * the store has back what was booked for them, also for those whose booking was still on its way.
   */
  async close() {
    this.#isClosed = true
    for (const line of this.#lines.values()) line[0]?.wake()
    for (const [waiter, end] of this.#booked) end(this.#refuse(waiter))
    await Promise.allSettled(this.#callers)
  }

  /** Waits to be first. Resolves with a denial where that is known to take too long. */
  async #waitForTurn(line, waiter) {
    const turn = new Promise((resolve) => (waiter.becomeFirst = () => resolve()))
    if (waiter.deadline === Infinity) {
      // Who asks for what cannot be is told so now, and not when it is their turn.
      await waiter.until(this.#store.peek(waiter.key, waiter.call))
      return waiter.until(turn)
    }
    const denial = await waiter.until(this.#deniedBehind(line, waiter))
    if (denial !== undefined && line[0] !== waiter) return denial
    if (line[0] === waiter) return undefined
    const late = Symbol('late')
    if ((await waiter.until(turn, waiter.remaining(), late)) !== late) return undefined
    return denied((await this.#peekBehind(line, waiter)).decision)
  }

  /** The denial of a caller for whom those ahead leave nothing in time, as far as can be known now. */
  async #deniedBehind(line, waiter) {
    for (;;) {
      const { decision, asker } = await this.#peekBehind(line, waiter)
      const left = waiter.remaining()
      if (left <= 0 || (!decision.allowed && decision.retryAfterMs > left)) return denied(decision)
      if (asker === undefined) return undefined
      await asker.asking?.catch(() => {})
      // Who was refused is ahead again, and what it wants was not reckoned with.
      if (line[0] !== asker) return undefined
    }
  }

  /**
   * What a caller would be told who asked for all that is wanted up to this one; and who is asking at that moment, whom the store has
   * told already: what it takes is taken.
   */
  async #peekBehind(line, waiter) {
    const { source, limit, limits = [] } = await this.#store.peek(waiter.key, waiter.call)
    // What a call costs is nothing to the limit on new keys.
    const own = limits.filter(({ name }) => name !== 'newKeys').map((each) => each.limit)
    // A fallback may have a larger limit than any call could ask for.
    const most = source === 'fallback' ? waiter.cost : Math.min(...(own.length > 0 ? own : [limit]))
    const ahead = line.slice(0, line.indexOf(waiter))
    const asker = ahead.find(({ asking }) => asking !== undefined)
    const wanted = ahead.reduce((sum, { cost, asking }) => sum + (asking === undefined ? cost : 0), waiter.cost)
    const decision = await this.#store.peek(waiter.key, { ...waiter.call, cost: Math.min(wanted, most) })
    return { decision, asker }
  }

  /** Asks until the answer is final, then waits for the place that was booked. */
  async #beFirst(id, line, waiter) {
    for (;;) {
      const patience = Math.min(Math.max(waiter.remaining(), 0), LONGEST_WAIT_MS)
      waiter.asking = this.#reserve(waiter, patience)
      const decision = await waiter.asking
      waiter.asking = undefined
      if (decision.allowed) {
        this.#makeWay(line, waiter)
        return this.#waitForPlace(id, waiter, decision)
      }
      // Who is on a list of those who are refused would wait for nothing.
      if (decision.reason === 'deny-list' || decision.retryAfterMs > waiter.remaining()) return decision
      if (this.#isClosed) return this.#refuse(waiter)
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

  /** Nobody passes before those who booked before: an answer that was late on its way has its place waited for too long. */
  async #waitForPlace(id, waiter, decision) {
    const before = this.#last.get(id)
    if (decision.delayMs === 0 && before === undefined) return decision
    if (this.#isClosed) {
      await this.#giveBack(waiter)
      return this.#refuse(waiter)
    }
    const ended = new Promise((end) => this.#booked.set(waiter, end))
    let pass
    const passing = new Promise((resolve) => (pass = resolve))
    this.#last.set(id, passing)
    try {
      await waiter.until(ended, decision.delayMs)
      if (before !== undefined) await waiter.until(Promise.race([ended, before]))
    } catch (error) {
      await this.#giveBack(waiter)
      throw error
    } finally {
      this.#booked.delete(waiter)
      if (this.#last.get(id) === passing) this.#last.delete(id)
      pass()
    }
    return { ...decision, delayMs: 0 }
  }

  /** Rejects in the words of a limiter that is closed. */
  #refuse({ key, call }) {
    return this.#store.peek(key, call)
  }

  /** What cannot be given back is forgotten by the store in time: the one who gave up is not to hear of it. */
  async #giveBack({ key, call: { cost, ...options }, cost: units }) {
    await this.#store.giveBack(key, units, options).catch(() => {})
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

  constructor(key, call, patience, signal) {
    this.key = key
    this.call = call
    this.signal = signal
    this.deadline = performance.now() + patience
    this.becomeFirst = undefined
    /** What the store is to say to it, while that is under way. */
    this.asking = undefined
    if (signal !== undefined) {
      this.#gaveUp = new Promise((_, reject) => (this.#abort = () => reject(signal.reason)))
      this.#gaveUp.catch(() => {})
      signal.addEventListener('abort', this.#abort, { once: true })
    }
  }

  /** The units that those behind must reckon with. What is no cost is refused, and takes nothing. */
  get cost() {
    const { cost = 1 } = this.call
    return Number.isSafeInteger(cost) && cost > 0 ? cost : 0
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

/** Which line a caller stands in. The values are looked at and never asked: they may be anything. */
function lineOf(key, { action, limit, window }) {
  const isObject = typeof key === 'object' && key !== null
  const fields = isObject
    ? Object.keys(key)
        .sort()
        .flatMap((name) => [name, key[name]])
    : [key]
  return JSON.stringify([...fields, '', action, limit, window].map((value) => [typeof value, namable(value)]))
}

function namable(value) {
  return typeof value === 'string' || Number.isFinite(value) ? value : null
}

/** A denial, also where there is something left: that is for those who came before. */
function denied(decision) {
  const { retryAfterMs, retryAfter } = decision
  const wait = { retryAfterMs: Math.max(retryAfterMs, 1), retryAfter: Math.max(retryAfter, 1) }
  return { ...decision, ...wait, allowed: false, granted: 0, delayMs: 0 }
}

/** The options of `acquire`. Those that every call has are checked where it is decided. */
function readOptions(options = {}) {
  if (typeof options !== 'object' || options === null || Array.isArray(options)) {
    throw badOption(TypeError, 'options', "an object such as { maxWait: '5s' }", options)
  }
  const { signal, maxWait, ...call } = own(options)
  if (signal !== undefined && !(signal instanceof AbortSignal)) {
    throw badOption(TypeError, 'signal', 'an AbortSignal', signal)
  }
  return { maxWait, signal, call: own(call) }
}

module.exports = { WaitingRoom, readOptions }
