/** The targets, what was reached, and whether that keeps them. */

import { formatNumber } from './scenario-table.mjs'

/** @returns {import('./table.mjs').Table} */
export function targetsTable(targets) {
  return {
    title: 'Targets',
    header: ['', 'target', 'reached', ''],
    rows: targets.map(({ what, contestant, reached, kept, ...bounds }) => [
      `${what} (${contestant})`,
      boundText(bounds),
      reached === null ? 'not measured' : formatNumber(reached, 2),
      reached === null ? '' : kept ? 'pass' : 'FAIL',
    ]),
  }
}

function boundText({ atLeast, atMost, below }) {
  if (atLeast !== undefined) return `≥ ${formatNumber(atLeast, 2)}`
  if (atMost !== undefined) return `≤ ${formatNumber(atMost, 2)}`
  return `< ${formatNumber(below, 2)}`
}
