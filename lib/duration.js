// Durations as the limiter's own options have them, for what is decided on this side.
'use strict'

const UNITS = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 }

/** Milliseconds of a number, or of a string such as `'5s'`; `NaN` of everything else. */
function toMilliseconds(value) {
  if (typeof value === 'number') return value
  const [, number, unit] = (typeof value === 'string' && /^(\d+(?:\.\d+)?)(ms|s|m|h|d)$/.exec(value)) || []
  return Number(number) * UNITS[unit]
}

module.exports = { toMilliseconds }
