// Units that are kept back until somebody says how many were used.
'use strict'

/** Where a hold is, for whoever settles or renews it: by when it ends, and whether this process made it in the store's place. */
function holdOf({ booked, source }, action) {
  return { ends: booked, here: source === 'fallback', ...(action === undefined ? undefined : { action }) }
}

class Reservation {
  #holds
  #key
  #hold
  #settled

  constructor(holds, key, options, { booked, ...decision }) {
    Object.assign(this, decision)
    /** Epoch milliseconds; 0 where nothing is held. */
    this.expiresAt = booked / 1_000
    this.#holds = holds
    // Whose it is must not change with an object of the caller's.
    this.#key = typeof key === 'object' ? { ...key } : key
    this.#hold = holdOf({ ...decision, booked }, options?.action)
  }

  settle(actual) {
    return this.#once(actual)
  }

  async cancel() {
    await this.#once(0)
  }

  async [Symbol.asyncDispose]() {
    await this.#once(0)
  }

  /** Only the first counts, unless it has failed: so whoever settles may cancel afterwards, whatever has become of it. */
  #once(actual) {
    if (this.#settled === undefined) {
      const settling = this.#settle(actual)
      this.#settled = settling
      settling.catch(() => {
        if (this.#settled === settling) this.#settled = undefined
      })
    }
    return this.#settled
  }

  async #settle(actual) {
    const { booked, ...decision } = await this.#holds.settle(this.#key, actual, this.#hold)
    // Where nothing was held nothing can have ended.
    return { ...decision, expired: this.#hold.ends > 0 && booked === 0 }
  }
}

module.exports = { Reservation, holdOf }
