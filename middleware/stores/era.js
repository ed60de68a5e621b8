// Forgets all keys of a store at once: keys are counted by era, and a new one begins where none has been counted.
'use strict'

const { refusal } = require('../../lib/errors.js')
const { LONGEST_MS } = require('./counter.js')

// How long another process may go on in the era that has ended.
const HEEDED_WITHIN_MS = 1_000

const KEY = 'era'
const ACTION = 'resets'

class Era {
  #counter
  #number = 0
  #readAt = -Infinity
  #reading

  constructor(counter) {
    this.#counter = counter
    // Nobody else can begin one.
    if (counter.isLocal) this.#readAt = Infinity
  }

  /** The action by which keys are counted in this era; the first has none. */
  async action() {
    if (performance.now() - this.#readAt > HEEDED_WITHIN_MS) {
      this.#reading ??= this.#read().finally(() => (this.#reading = undefined))
      await this.#reading
    }
    return this.#number === 0 ? undefined : `era-${this.#number}`
  }

  /** Begins the next. */
  async next() {
    if (this.#counter.isLocal) {
      this.#number += 1
      return
    }
    const { hits, isKnown } = await this.#counter.hit(KEY, LONGEST_MS, ACTION)
    if (!isKnown) {
      const message =
        'the keys were not forgotten, since the store could not be told: call resetAll again when it answers'
      throw refusal(Error, 'ERR_RATE_LIMIT_STORE_UNAVAILABLE', message)
    }
    this.#number = hits
    this.#readAt = performance.now()
  }

  async #read() {
    try {
      const { hits, isKnown } = await this.#counter.look(KEY, LONGEST_MS, ACTION)
      if (isKnown) this.#number = hits
    } catch {
      // The call for which it was read will say so.
    }
    this.#readAt = performance.now()
  }
}

module.exports = { Era }
