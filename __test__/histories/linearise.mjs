/**
 * The check of one history: is there an order of its calls, each at a moment between its invocation and its return, in which the
 * sequential model gives every caller exactly the answer that it was given?
 *
 * The search is that of Wing and Gong (1993), with Lowe's memory (2017) of what was tried: which calls are done, and the state
 * that they led to. A call without an answer of the store's may have been executed at any moment after it was invoked, once,
 * or never. Of those that ask the same it does not matter which was executed: where one was, the one that was invoked
 * first could have been in its place. So they are counted, not chosen, and searching stays quick in an outage.
 */

import { agrees, apply, fresh, keyOf } from './model.mjs'

/** More steps than any history here needs by far: beyond them the answer is that there is none. */
const MOST_STEPS = 2_000_000

/**
 * @param limits the units of each limit
 * @param history calls `{ call, invoked, returned, told }` in any order; without `told` it is not known whether they were done
 * @returns the calls that were done, in an order that explains the history; `undefined` where there is none
 * @throws where the history cannot be one, or the search would take too long
 */
export function linearise(limits, history) {
  for (const { invoked, returned, told } of history) {
    if (told && !(invoked <= returned)) throw new Error(`a call returned at ${returned} that was invoked at ${invoked}`)
  }
  const inOrder = history.toSorted((a, b) => a.invoked - b.invoked)
  const search = new Search(
    limits,
    inOrder.filter(({ told }) => told),
    groupsOf(inOrder.filter(({ told }) => !told)),
  )
  return search.from(fresh(limits)) ? search.order : undefined
}

/** Calls that are perhaps done, those that ask the same together. What only looks leaves no trace either way. */
function groupsOf(calls) {
  const groups = new Map()
  for (const made of calls) {
    const { verb, cost = 1, upTo = false } = made.call
    if (verb === 'peek') continue
    const name = `${verb === 'isAllowed' ? 'check' : verb} ${cost} ${upTo}`
    groups.set(name, [...(groups.get(name) ?? []), made])
  }
  return [...groups.values()].map((calls) => ({ calls, done: 0 }))
}

class Search {
  order = []

  #limits
  #calls
  #perhaps
  #left
  #isDone
  /** The same in 32 bits each. */
  #done
  #tried = new Set()

  constructor(limits, calls, perhaps) {
    this.#limits = limits
    this.#calls = calls
    this.#perhaps = perhaps
    this.#left = calls.length
    this.#isDone = new Uint8Array(calls.length)
    this.#done = new Uint32Array(Math.ceil(calls.length / 32))
  }

  /** Whether what is not yet done can follow, from `state` on. */
  from(state) {
    if (this.#left === 0) return true
    const here = `${this.#done.join()} ${this.#perhaps.map((group) => group.done).join()} ${keyOf(state)}`
    if (this.#tried.has(here)) return false
    if (this.#tried.size >= MOST_STEPS) throw new Error(`the search took more than ${MOST_STEPS} steps`)
    this.#tried.add(here)
    const until = this.#until()
    return this.#answered(state, until) || this.#unanswered(state, until)
  }

  /** Whatever is next was invoked by then: when the first of those returned that are not done. */
  #until() {
    let until = Infinity
    for (const [index, { invoked, returned }] of this.#calls.entries()) {
      if (invoked > until) break
      if (!this.#isDone[index] && returned < until) until = returned
    }
    return until
  }

  #mark(index, isDone) {
    this.#isDone[index] = isDone
    this.#done[index >> 5] ^= 1 << (index & 31)
    this.#left += isDone ? -1 : 1
  }

  #answered(state, until) {
    for (const [index, made] of this.#calls.entries()) {
      if (made.invoked > until) break
      if (this.#isDone[index]) continue
      const next = apply(this.#limits, state, made.call)
      if (!agrees(made.told, next.answer)) continue
      this.#mark(index, 1)
      this.order.push(made)
      if (this.from(next.state)) return true
      this.order.pop()
      this.#mark(index, 0)
    }
    return false
  }

  #unanswered(state, until) {
    for (const group of this.#perhaps) {
      const made = group.calls[group.done]
      if (made === undefined || made.invoked > until) continue
      const next = apply(this.#limits, state, made.call)
      // Where it would change nothing it can as well be done later, or never.
      if (keyOf(next.state) === keyOf(state)) continue
      group.done += 1
      this.order.push(made)
      if (this.from(next.state)) return true
      this.order.pop()
      group.done -= 1
    }
    return false
  }
}
