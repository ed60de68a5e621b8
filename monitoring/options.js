// How the options of the functions here are read: own properties, none that is not known.
'use strict'

const { toMilliseconds } = require('../lib/duration.js')
const { badOption } = require('../lib/errors.js')
const { own } = require('../lib/own.js')
const { refuseUnknown } = require('../lib/unknown.js')

/** The object's own properties. `what` is what it is called where it is refused. */
function read(options, names, what = 'options') {
  if (typeof options !== 'object' || options === null || Array.isArray(options)) {
    throw badOption(TypeError, what, 'an object', options)
  }
  const given = own(options)
  refuseUnknown(`\`${what}\``, given, names)
  return given
}

/** What the limiter is called among others. */
function readName(name = 'default') {
  if (typeof name === 'string' && name !== '') return name
  throw badOption(TypeError, 'name', 'a non-empty string', name)
}

/** A duration, as the limiter's own options say it, in milliseconds. */
function readDuration(value, what) {
  const ms = toMilliseconds(value)
  if (ms > 0 && ms < 2 ** 31) return ms
  const Kind = typeof value === 'number' || typeof value === 'string' ? RangeError : TypeError
  throw badOption(Kind, what, "a duration from above 0 to 24 days, such as 500 or '10s'", value)
}

module.exports = { read, readDuration, readName }
