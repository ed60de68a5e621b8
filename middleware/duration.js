// A duration that a request or a client may wait for.
'use strict'

const { toMilliseconds } = require('../lib/duration.js')
const { badOption } = require('../lib/errors.js')

const LONGEST_MS = 86_400_000

/** Milliseconds, from 0 to a day. */
function milliseconds(name, value) {
  const expected = "a duration from 0 to 1 day: milliseconds, or a string such as '5s'"
  if (typeof value !== 'number' && typeof value !== 'string') throw badOption(TypeError, name, expected, value)
  const ms = toMilliseconds(value)
  if (!(ms >= 0 && ms <= LONGEST_MS)) throw badOption(RangeError, name, expected, value)
  return ms
}

module.exports = { milliseconds }
