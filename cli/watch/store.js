// What there is to be seen of a Redis: its pulse, and who uses how much.
'use strict'

const { StoreError } = require('../failure.js')
const { entryJson } = require('../limits/tables.js')
const { open, whichOf } = require('../session.js')
const { Pulse } = require('./pulse.js')
const { Rounds } = require('./rounds.js')
const { storeFrame, storeLine } = require('./store-view.js')

/** Keys that are kept of each list: more than a terminal has rows. */
const MOST = 100
/** Of each interval the keys are gone through for so much. */
const SHARE = 0.4
/** Keys of each list in JSON. */
const LISTED = 20

class Store {
  #values
  #session
  #pulse
  #rounds
  #now
  #trouble

  constructor(values) {
    this.#values = values
  }

  async begin() {
    this.#session = await open(this.#values)
    this.#pulse = new Pulse(this.#session.redis, this.#values.prefix)
    this.#rounds = new Rounds(this.#session, { ...whichOf(this.#values), match: this.#values.match, most: MOST })
  }

  /** Reads it anew. Where Redis is away that is what there is to be seen, and it is tried again the next time. */
  async read(every) {
    try {
      if (this.#trouble !== undefined) await this.#again()
      this.#now = await this.#pulse.read()
      await this.#rounds.go(every * SHARE)
      await this.#pulse.rest()
      this.#trouble = undefined
    } catch (error) {
      const isAway = error instanceof StoreError ? error.isAway : /^ERR_RATE_LIMIT_STORE_/.test(error.code ?? '')
      if (!isAway || this.#now === undefined) throw error
      this.#trouble = `${error.message}: trying again`
    }
  }

  frame(size) {
    return storeFrame(this.#known, size)
  }

  line() {
    return storeLine(this.#known)
  }

  json() {
    const { keys, blockedKeys, limits, top, blocked } = this.#rounds.census
    return {
      ...{ at: Date.now(), redis: this.#session.redis.at, trouble: this.#trouble, ...this.#now },
      ...{ isWhole: this.#rounds.isWhole, keys, blockedKeys, limits },
      top: top.slice(0, LISTED).map(entryJson),
      blocked: blocked.slice(0, LISTED).map(entryJson),
    }
  }

  async close() {
    await this.#session?.close()
  }

  get #known() {
    const { census, isWhole, part } = this.#rounds
    const { history } = this.#pulse
    const clock = new Date().toTimeString().slice(0, 8)
    return {
      at: this.#session.redis.at,
      pulse: this.#now,
      history,
      census,
      isWhole,
      part,
      trouble: this.#trouble,
      clock,
    }
  }

  /** Connects anew, and goes through the keys from the beginning. */
  async #again() {
    const before = this.#session
    await this.begin()
    await before.close()
  }
}

module.exports = { Store }
