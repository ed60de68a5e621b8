/** The two statistics that the benchmark reports: medians over rounds, percentiles over calls. */

/** The middle value; of an even number of values the mean of the two in the middle. */
export function median(values) {
  if (values.length === 0) throw new RangeError('the median of nothing')
  const sorted = Float64Array.from(values).sort()
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
}

/** The smallest value that at least the share `q` (0 to 1) of `sorted` does not exceed (nearest rank). */
export function percentile(sorted, q) {
  if (sorted.length === 0) throw new RangeError('a percentile of nothing')
  const rank = Math.ceil(q * sorted.length)
  return sorted[Math.max(rank, 1) - 1]
}

/** For each field of the first of `rounds`, the median over all of them. */
export function mediansByField(rounds) {
  return Object.fromEntries(Object.keys(rounds[0]).map((field) => [field, median(rounds.map((round) => round[field]))]))
}
