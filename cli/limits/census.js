// Who uses how much: the first of many keys, and sums by limit, in bounded memory.
'use strict'

const { placeOf } = require('./names.js')

/** Two entries by what is asked for; undefined comes last. */
const ORDERS = {
  used: ({ used = -1, fullInMs = 0 }, other) => (other.used ?? -1) - used || (other.fullInMs ?? 0) - fullInMs,
  time: ({ expiresInMs = 0 }, other) => (other.expiresInMs ?? 0) - expiresInMs,
  blocked: ({ blockedForMs }, other) => other.blockedForMs - blockedForMs,
}

/** The first `most` entries in an order, each name once. */
class First {
  list = []
  #most
  #order

  constructor(most, order) {
    this.#most = most
    this.#order = ORDERS[order]
  }

  add(entry) {
    const isFull = this.list.length >= this.#most
    if (isFull && (this.#most === 0 || this.#order(this.list.at(-1), entry) <= 0)) return
    if (this.list.some(({ name }) => name.raw.equals(entry.name.raw))) return
    if (isFull) this.list.pop()
    const after = this.list.findIndex((other) => this.#order(entry, other) < 0)
    this.list.splice(after === -1 ? this.list.length : after, 0, entry)
  }
}

class Census {
  keys = 0
  blockedKeys = 0
  foreignKeys = 0
  #limits = new Map()
  #top
  #blocked

  constructor({ most, order = 'used' }) {
    this.#top = new First(most, order)
    this.#blocked = new First(most, 'blocked')
  }

  /** Counts a key: its parsed name, and what was seen of it. */
  add(name, seen) {
    this.keys += 1
    if (seen.isForeign) return void (this.foreignKeys += 1)
    const limit = this.#limitOf(name)
    limit.keys += 1
    limit.used += seen.used ?? 0
    const entry = { name, ...seen }
    if (seen.blockedForMs > 0) {
      this.blockedKeys += 1
      limit.blocked += 1
      this.#blocked.add(entry)
    } else {
      this.#top.add(entry)
    }
  }

  /** Keys that are blocked, longest first. */
  get blocked() {
    return this.#blocked.list
  }

  /** The others, the first of them first. */
  get top() {
    return this.#top.list
  }

  /** What each limit counts: `{ name, action, algorithm, isBucket, keys, used, blocked }`, most keys first. */
  get limits() {
    const named = [...this.#limits].sort(([one], [other]) => (one < other ? -1 : 1)).map(([, limit]) => limit)
    return named.sort((one, other) => other.keys - one.keys)
  }

  #limitOf({ name, action, algorithm, isBucket }) {
    const place = `${placeOf({ name, action })}:${algorithm}`
    if (!this.#limits.has(place)) {
      this.#limits.set(place, { name, action, algorithm, isBucket, keys: 0, used: 0, blocked: 0 })
    }
    return this.#limits.get(place)
  }
}

module.exports = { Census }
