/** The course of a chart's points, for the table beneath it. */

/** Half minutes of a chart's points, the newest first, for its table. */
export function halfMinutes(points, averages) {
  const rows = new Map()
  for (const point of points) {
    const id = Math.floor(point.at / 30_000) * 30_000
    if (!rows.has(id)) rows.set(id, [])
    rows.get(id).push(point)
  }
  return [...rows].reverse().map(([id, within]) => ({ id, ...averages(within) }))
}

export const mean = (points, field) => points.reduce((sum, point) => sum + point[field], 0) / points.length
export const most = (points, field) =>
  points.reduce((max, { [field]: value }) => (value === null ? max : Math.max(max ?? 0, value)), null)
