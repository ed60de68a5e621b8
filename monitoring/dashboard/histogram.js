// Quantiles as the page can show them: JSON has neither NaN nor Infinity.
'use strict'

const { quantile: exact, since } = require('../quantile.js')

/** `null` where nothing was counted; of what lies above all bounds nothing is known but that: it is told as the last bound. */
function quantile(histogram, q) {
  return histogram.count === 0 ? null : Math.min(exact(histogram, q), histogram.bounds.at(-1))
}

module.exports = { quantile, since }
