/** A cache of four operations in this process: as plain as one can be, and slow to answer where that is wished. */

import { setImmediate as turn } from 'node:timers/promises'

export class MemoryCache {
  #entries = new Map()
  /** Operations by their names, as often as each was called. */
  calls = { get: 0, set: 0, incrementAndGet: 0, decrementAndGet: 0 }
  /** What is done in place of an operation, where something is. */
  fault

  get size() {
    return this.#entries.size
  }

  /** The milliseconds that each entry still lives. */
  get lifetimes() {
    return [...this.#entries.values()].map(({ expires }) => expires - Date.now())
  }

  get keys() {
    return [...this.#entries.keys()]
  }

  async get(key) {
    if (this.fault !== undefined) return this.fault('get')
    await this.#begin('get')
    return this.#read(key)?.value ?? null
  }

  async set(key, value, expiryMs) {
    if (this.fault !== undefined) return this.fault('set')
    await this.#begin('set')
    this.#entries.set(key, { value, expires: Date.now() + expiryMs })
  }

  async incrementAndGet(key, expiryMs) {
    if (this.fault !== undefined) return this.fault('incrementAndGet')
    await this.#begin('incrementAndGet')
    const entry = this.#read(key) ?? { value: 0, expires: Date.now() + expiryMs }
    entry.value += 1
    this.#entries.set(key, entry)
    return entry.value
  }

  async decrementAndGet(key) {
    if (this.fault !== undefined) return this.fault('decrementAndGet')
    await this.#begin('decrementAndGet')
    const entry = this.#read(key) ?? { value: 0, expires: Infinity }
    entry.value -= 1
    this.#entries.set(key, entry)
    return entry.value
  }

  #read(key) {
    const entry = this.#entries.get(key)
    if (entry === undefined || entry.expires > Date.now()) return entry
    this.#entries.delete(key)
    return undefined
  }

  /** Operations of one moment come to the cache in any order. */
  async #begin(name) {
    this.calls[name] += 1
    for (let turns = Math.random() * 3; turns > 1; turns -= 1) await turn()
  }
}
