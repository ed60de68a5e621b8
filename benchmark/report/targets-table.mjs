/** The targets, what was reached, and whether that keeps them. */

import { formatTimes } from './columns.mjs'

/** @returns {import('./table.mjs').Table} */
export function targetsTable(targets) {
  return {
    title: 'Targets',
    header: ['scenario', 'at least', 'reached', ''],
    prose: 3,
    rows: targets.map(({ name, bound, checks, kept }) => [
      name,
      bound,
      checks.map(checkText).join('; '),
      kept === null ? 'not measured' : kept ? 'pass' : 'FAIL',
    ]),
    note: 'Reached: the median over the rounds of the ratio within each, of the sliding window and of the token bucket where there are two.',
  }
}

function checkText({ says, reached }) {
  const figures = reached.map(({ value }) => (value === null ? '–' : formatTimes(value)))
  return `${says} ${figures.join(', ')}`
}
