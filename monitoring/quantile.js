// Histograms as `stats()` shows them: what was counted between two moments, and quantiles of it.
'use strict'

/** What `later` has counted beyond `earlier`; everything where there is no `earlier`. */
function since(earlier, later) {
  return {
    bounds: later.bounds,
    counts: later.counts.map((count, index) => count - (earlier?.counts[index] ?? 0)),
    sum: later.sum - (earlier?.sum ?? 0),
    count: later.count - (earlier?.count ?? 0),
  }
}

/**
 * The value that the share `q` of all values is at most, taken as evenly spread within its bucket; `NaN` where there are none, and
 * `Infinity` where it lies above the last bound: nothing says how far.
 */
function quantile({ bounds, counts, count }, q) {
  if (count === 0) return NaN
  const rank = q * count
  let below = 0
  for (const [index, bound] of bounds.entries()) {
    const here = counts[index]
    if (here > 0 && below + here >= rank) {
      const from = index === 0 ? 0 : bounds[index - 1]
      return from + ((bound - from) * (rank - below)) / here
    }
    below += here
  }
  return Infinity
}

module.exports = { quantile, since }
