/** How rate-limiter-flexible says no: it rejects, with a result where the limit is spent and with an Error where it failed. */

/** The limiter's `consume` as a promise of a boolean. */
export function booleanConsume(limiter) {
  return (key) => limiter.consume(key).then(admitted, refused)
}

function admitted() {
  return true
}

function refused(reason) {
  if (reason instanceof Error) throw reason
  return false
}
