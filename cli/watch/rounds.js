// Goes round and round through all keys beside everything else: a slice each time, so that Redis is asked for little at once.
'use strict'

const { Census } = require('../limits/census.js')
const { survey } = require('../limits/survey.js')
const { addExpiries } = require('../session.js')

class Rounds {
  /** The last census that is whole; the first one while it is made. */
  census
  /** Whether a whole one was made yet. */
  isWhole = false
  /** How far the present round is, from 0 to 1; undefined where that cannot be told. */
  part = 0
  #session
  #which
  #most
  #next
  #steps

  constructor(session, { most, ...which }) {
    this.#session = session
    this.#which = which
    this.#most = most
    this.#begin()
  }

  /** Goes on for about so long, at most to the end of this round. */
  async go(ms) {
    const end = performance.now() + ms
    do {
      const { value, done } = await this.#steps.next()
      if (done || value.isWhole) {
        await addExpiries(this.#session.redis, this.#next)
        this.census = this.#next
        this.isWhole = true
        this.#begin()
        return
      }
      this.part = value.total > 0 ? value.looked / value.total : undefined
    } while (performance.now() < end)
  }

  #begin() {
    this.part = 0
    this.#next = new Census({ most: this.#most })
    this.census ??= this.#next
    this.#steps = survey(this.#session, this.#next, this.#which)
  }
}

module.exports = { Rounds }
