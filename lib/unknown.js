// Names of options that nobody knows, which are misspelt most often; said in the words of src/input.rs.
'use strict'

const { refusal } = require('./errors.js')

/** Throws where `given` has a name that is none of `known`, and says which one may have been meant. */
function refuseUnknown(owner, given, known) {
  for (const name of Object.keys(given)) {
    if (known.includes(name)) continue
    const near = known.find((other) => isNear(name.toLowerCase(), other.toLowerCase()))
    const hint = near === undefined ? `it knows ${known.join(', ')}` : `did you mean \`${near}\`?`
    throw refusal(TypeError, 'ERR_RATE_LIMIT_UNKNOWN_OPTION', `${owner} has no \`${name}\`: ${hint}`)
  }
}

/** Whether one is the other but for a letter that was forgotten, added, changed, or has changed places with its neighbour. */
function isNear(one, other) {
  if (Math.abs(one.length - other.length) > 1) return false
  let start = 0
  while (start < one.length && one[start] === other[start]) start += 1
  const [rest, otherRest] = [one.slice(start), other.slice(start)]
  const isSwapped = rest[0] === otherRest[1] && rest[1] === otherRest[0] && rest.slice(2) === otherRest.slice(2)
  return rest.slice(1) === otherRest.slice(1) || rest === otherRest.slice(1) || rest.slice(1) === otherRest || isSwapped
}

module.exports = { refuseUnknown }
