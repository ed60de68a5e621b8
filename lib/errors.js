// The errors that this side makes, with the codes and the wording of src/error.rs.
'use strict'

/** A `TypeError` or `RangeError` with a stable `code`. */
function refusal(Kind, code, message) {
  return Object.assign(new Kind(message), { code })
}

/** A value as an error's message shows it, as src/input.rs does. */
function shown(value) {
  switch (typeof value) {
    case 'undefined':
      return 'nothing'
    case 'string':
      return `the string '${value.length > 40 ? `${value.slice(0, 40)}…` : value}'`
    case 'number':
      return String(value)
    case 'object':
      return value === null ? 'null' : Array.isArray(value) ? 'an array' : 'an object'
    default:
      return `a ${typeof value}`
  }
}

/** An option, or an argument, that is not what is expected. */
function badOption(Kind, name, expected, value) {
  return refusal(Kind, 'ERR_RATE_LIMIT_OPTION', `\`${name}\` must be ${expected}, but ${shown(value)} was given`)
}

module.exports = { badOption, refusal, shown }
