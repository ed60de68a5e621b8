/** The table of one scenario: each figure, and how it compares with the best peer's in that column, or with the baseline's. */

import { ratio, referenceOf } from '../comparison.mjs'
import { columnsOf, formatFigure, formatTimes } from './columns.mjs'

/** @returns {import('./table.mjs').Table} */
export function scenarioTable(scenario) {
  const columns = columnsOf(scenario)
  const references = columns.map(({ field, best }) => best && referenceOf(scenario, field, best))
  return {
    title: scenario.title,
    header: ['', ...columns.map(({ heading }) => heading)],
    rows: scenario.contestants.map((contestant) => [
      contestant.error === undefined ? contestant.label : `${contestant.label} (failed: ${contestant.error})`,
      ...columns.map((column, index) => cell(column, contestant, references[index])),
    ]),
    ...(scenario.baseline && { note: 'In parentheses: multiples of what it is with no limiter.' }),
  }
}

function cell(column, contestant, reference) {
  const value = contestant.medians?.[column.field]
  if (value === undefined) return '–'
  const figure = formatFigure(column, value)
  const times = reference ? ratio(contestant, reference, column.field) : null
  return times === null ? figure : `${figure} (${formatTimes(times)}×)`
}
