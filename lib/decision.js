// A decision as numbers, written by Rust (src/binding/row.rs) and read at once: an object literal made here costs a tenth of an
// object built through Node-API.
'use strict'

const OWN = 10
const EACH = 5
// Behind the limits, when a hold ends, in microseconds since the epoch.
const BOOKED = OWN + EACH * 17
const row = new Float64Array(new ArrayBuffer(8 * (BOOKED + 1)))
const SOURCES = ['redis', 'memory', 'fallback', 'client', 'deny-cache', 'lease', 'shared', 'list']
const LIST = SOURCES.indexOf('list')

/**
 * The decision that was written last; `names` are those of its limits, where they have any, and behind them an array of those that are tried. Of
 * a hold also when that ends.
 */
function decisionOf(names, isHold) {
  const decision = {
    allowed: row[0] === 1,
    granted: row[1],
    limit: row[2],
    remaining: row[3],
    retryAfterMs: row[4],
    retryAfter: row[5],
    resetAt: row[6],
    delayMs: row[7],
    source: SOURCES[row[8]],
  }
  if (row[8] === LIST) decision.reason = decision.allowed ? 'allow-list' : 'deny-list'
  if (isHold) decision.booked = row[BOOKED]
  // None is named where nothing is known of those that are tried, and the only one in force has no name.
  if (names === undefined || names.length === 0) return decision
  const tried = names.at(-1)
  if (typeof tried === 'string') {
    decision.name = names[row[9]]
    decision.limits = names.map(limitOf)
  } else {
    withTried(decision, names.slice(0, -1), tried)
  }
  return decision
}

/** Adds what several limits say, where they have names, and those that are tried, whose numbers follow. */
function withTried(decision, names, tried) {
  if (names.length > 0) {
    decision.name = names[row[9]]
    decision.limits = names.map(limitOf)
  }
  decision.shadow = tried.map((name, index) => limitOf(name, names.length + index))
}

function limitOf(name, index) {
  const at = OWN + EACH * index
  return {
    name,
    allowed: row[at] === 1,
    limit: row[at + 1],
    remaining: row[at + 2],
    retryAfterMs: row[at + 3],
    resetAt: row[at + 4],
  }
}

module.exports = { row, decisionOf }
