// Limits that are tried before they bite: who wants to hear of it is told on which calls they and those in force disagree.
'use strict'

const { decisionOf } = require('./decision.js')

/** The limit that is tried in the place of the one in force, and not beside it; an action's own is `login/candidate`. */
const isCandidate = (name) => name === 'candidate' || name.endsWith('/candidate')

/** The action whose own limit is called so, as no limit's own name has a slash. */
const actionOf = (name) => (name.includes('/') ? { action: name.slice(0, name.lastIndexOf('/')) } : {})

/** What would have been decided otherwise: the limits by their names, and whether each would deny or allow. */
function disagreementsOf({ allowed, shadow = [] }) {
  return shadow
    .filter((tried) => tried.allowed !== allowed && (allowed || isCandidate(tried.name)))
    .map(({ name }) => ({ limit: name, ...actionOf(name), would: allowed ? 'deny' : 'allow' }))
}

/**
 * The native functions that decide, of which each decision is told while that is wanted. A boolean says nothing of the limits, so then it is
 * read from a decision.
 */
function watched(calls, { isLocal, isWanted, tell }) {
  const heard =
    (call) =>
    (key, ...rest) => {
      const answer = call(key, ...rest)
      if (!isWanted()) return answer
      const told = (decision) => {
        tell(key, decision)
        return decision
      }
      if (typeof answer?.then === 'function') return answer.then(told)
      told(decisionOf(answer))
      return answer
    }
  const check = heard(calls.check)
  const isAllowed = (key, ...rest) => {
    if (!isWanted()) return calls.isAllowed(key, ...rest)
    const answer = check(key, ...rest)
    return typeof answer?.then === 'function' ? answer.then(({ allowed }) => allowed) : decisionOf(answer).allowed
  }
  // Where a store must be asked it refuses to.
  const isAllowedSync = isLocal ? isAllowed : calls.isAllowedSync
  return { ...calls, check, isAllowed, isAllowedSync, reserve: heard(calls.reserve) }
}

module.exports = { disagreementsOf, watched }
