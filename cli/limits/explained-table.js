// The limits of one call as a table: as they were given, how each of them stands, and what it would say.
'use strict'

const { shownLimit } = require('../session.js')
const { table } = require('../terminal/table.js')
const { count, printable, time } = require('../terminal/text.js')

function explainedTable(limits, { style, width }) {
  const columns = [
    { title: 'LIMIT', gives: true, style: style.cyan },
    { title: 'ALGORITHM' },
    { title: 'OF' },
    { title: 'LEFT', isNumber: true },
    { title: 'A CALL NOW', style: (text) => (text.startsWith('allowed') ? style.green(text) : style.red(text)) },
    { title: 'FULL AGAIN', isNumber: true },
  ]
  const rows = limits.map((limit) => [
    nameOf(limit),
    limit.algorithm,
    numbersOf(limit),
    `${count(limit.remaining)} of ${count(limit.limitNow)}`,
    verdictOf(limit),
    limit.fullInMs === 0 ? 'it is' : `in ${time(limit.fullInMs)}`,
  ])
  return table(columns, rows, { style, width })
}

function nameOf({ name, action, by, role }) {
  const own = shownLimit({ name, action: action && printable(action) })
  const field = by === undefined || by === name ? '' : ` by ${printable(by)}`
  return `${own}${field}${role === undefined ? '' : ', tried'}`
}

function numbersOf({ limit, windowMs, window, burst }) {
  const each = window === undefined ? `in ${time(windowMs)}` : `a ${window.calendar} of ${window.timeZone}`
  if (burst === undefined) return `${count(limit)} ${each}`
  const more =
    typeof burst === 'number' ? `burst ${count(burst)}` : `${count(burst.extra)} more in ${time(burst.windowMs)}`
  return `${count(limit)} ${each}, ${more}`
}

/** One that is tried refuses nobody. */
function verdictOf({ allowed, retryAfterMs, role }) {
  const refused = role === undefined ? 'refused' : 'would refuse'
  return allowed ? 'allowed' : `${refused}, for ${time(retryAfterMs)}`
}

module.exports = { explainedTable }
