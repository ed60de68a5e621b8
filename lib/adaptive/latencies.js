// The times that responses took, as they are reported, and what nine of ten of them are below.
'use strict'

/** Fewer than these say little: they wait for more, for so many ticks. */
const ENOUGH = 10
const MOST_TICKS = 10

/** The most of one reading; later ones take the place of the earliest. */
const MOST = 1_024

class Latencies {
  #times = []
  #next = 0
  #ticks = 0
  #last = 0

  /** A response took so many milliseconds. */
  add(ms) {
    this.#times[this.#next] = ms
    this.#next = (this.#next + 1) % MOST
  }

  /**
   * The 90th percentile since the last reading that had enough of them; 0 where nobody reports anything for ten ticks, in which the loop
   * was free to.
   */
  read(isTick = true) {
    if (isTick) this.#ticks += 1
    if (this.#times.length < ENOUGH && this.#ticks < MOST_TICKS) return this.#last
    const sorted = this.#times.sort((a, b) => a - b)
    this.#last = sorted[Math.ceil(sorted.length * 0.9) - 1] ?? 0
    this.#times = []
    this.#next = 0
    this.#ticks = 0
    return this.#last
  }
}

module.exports = { Latencies }
