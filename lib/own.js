// What an object says itself, so that a polluted Object.prototype changes nothing.
'use strict'

/** The object's own properties, without anything that could be inherited. */
function own(object) {
  return { __proto__: null, ...object }
}

module.exports = { own }
