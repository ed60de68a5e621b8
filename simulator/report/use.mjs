/** What leases leave unused of a limit, beside the same calls without leases. */

/** Of each kind of load: what is not used without leases, with them, the difference, and the bound on that. */
export function underUse(points) {
  const rows = []
  for (let index = 0; index < points.length; index += 2) {
    const [known, leased] = points.slice(index, index + 2)
    const { algorithm, limit } = leased.world
    rows.push({
      algorithm,
      limit,
      words: leased.words,
      without: known.report.underUse,
      with: leased.report.underUse,
      beyond: leased.report.underUse - known.report.underUse,
      bound: leased.bound,
      leased: leased.report.leased / leased.report.admitted,
      over: known.report.over + leased.report.over,
    })
  }
  return rows
}
