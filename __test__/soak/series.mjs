/** Whether what was measured over time stays where it is: pure functions of samples, so that they can be tested on series of any shape. */

/** Pairs grow with the square of points; medians of this many bins say the same. */
const MOST_POINTS = 400

export function median(values) {
  if (values.length === 0) return NaN
  const sorted = values.toSorted((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
}

/**
 * The slope by Theil and Sen: the median of the slopes between all pairs of points, `{ at, value }`. Up to 29 of 100 points may lie
 * anywhere, as in the midst of a fault, without moving it.
 */
export function slopeOf(points) {
  const few = thinned(points)
  const slopes = []
  for (const [index, one] of few.entries()) {
    for (const other of few.slice(index + 1)) {
      if (other.at > one.at) slopes.push((other.value - one.value) / (other.at - one.at))
    }
  }
  return slopes.length === 0 ? 0 : median(slopes)
}

function thinned(points) {
  if (points.length <= MOST_POINTS) return points
  const size = Math.ceil(points.length / MOST_POINTS)
  const bins = Array.from({ length: Math.ceil(points.length / size) }, (_, bin) =>
    points.slice(bin * size, (bin + 1) * size),
  )
  return bins.map((bin) => ({
    at: median(bin.map(({ at }) => at)),
    value: median(bin.map(({ value }) => value)),
  }))
}

/**
 * Judges the second half of a series, since in the first everything grows to its bound: tables fill, code is compiled.
 *
 * `grown` is the larger of two: what the slope makes of the half's length, and by how much the median of its last quarter
 * is above that of its first. A slope by medians does not see a step that comes late, and quarters see three fourths of a steady
 * climb. Only growth counts; the series is flat while it is below `bound`.
 */
export function judge(points, bound) {
  const { at: first } = points[0]
  const { at: last } = points.at(-1)
  const half = points.filter(({ at }) => at >= (first + last) / 2)
  const quarter = Math.max(1, half.length >> 2)
  const valuesOf = (part) => part.map(({ value }) => value)
  const slope = slopeOf(half)
  const climbed = slope * (half.at(-1).at - half[0].at)
  const stepped = median(valuesOf(half.slice(-quarter))) - median(valuesOf(half.slice(0, quarter)))
  const grown = Math.max(climbed, stepped)
  return { median: median(valuesOf(half)), slope, grown, bound, isFlat: grown < bound }
}
