// Durations as the limiter's own options have them, for what is decided on this side.
'use strict'

const { badOption } = require('../lib/errors.js')

const UNITS = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 }
const LONGEST_MS = 86_400_000

/** Milliseconds, from 0 to a day. */
function milliseconds(name, value) {
  const expected = "a duration from 0 to 1 day: milliseconds, or a string such as '5s'"
  if (typeof value !== 'number' && typeof value !== 'string') throw badOption(TypeError, name, expected, value)
  const [, number, unit] = typeof value === 'string' ? (/^(\d+(?:\.\d+)?)(ms|s|m|h|d)$/.exec(value) ?? []) : []
  const ms = typeof value === 'number' ? value : Number(number) * UNITS[unit]
  if (!(ms >= 0 && ms <= LONGEST_MS)) throw badOption(RangeError, name, expected, value)
  return ms
}

module.exports = { milliseconds }
