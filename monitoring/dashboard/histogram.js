// Quantiles of the calls between two readings of one histogram.
'use strict'

/** What `after` has counted since `before`; everything where there is no `before`. */
function since(before, after) {
  const counts = after.counts.map((count, index) => count - (before?.counts[index] ?? 0))
  return {
    bounds: after.bounds,
    counts,
    count: after.count - (before?.count ?? 0),
    sum: after.sum - (before?.sum ?? 0),
  }
}

/**
 * The value that a share `q` of the counted ones do not exceed, taken to lie evenly within its bucket; `null` where nothing
 * was counted. Of what lies above all bounds nothing is known but that: it is told as the last bound.
 */
function quantile({ bounds, counts, count }, q) {
  if (count <= 0) return null
  const rank = q * count
  let below = 0
  for (const [index, within] of counts.entries()) {
    if (within > 0 && below + within >= rank) {
      if (index === bounds.length) return bounds.at(-1)
      const lower = index === 0 ? 0 : bounds[index - 1]
      return lower + (bounds[index] - lower) * ((rank - below) / within)
    }
    below += within
  }
  return bounds.at(-1)
}

module.exports = { quantile, since }
