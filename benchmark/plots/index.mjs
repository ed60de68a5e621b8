/** Which plots docs/performance.md shows, made of the results of a whole run. */

import { ratio, referenceOf } from '../comparison.mjs'
import { columnsOf, formatFigure, formatNumber, formatTimes } from '../report/columns.mjs'
import { drawBars } from './bars.mjs'

// The line that is drawn through a bar.
const MORE = 'more is better; line: the range of the rounds'
const LESS = 'less is better; line: the range of the rounds'

/** The plots as they are to stand in docs/performance: `{ file, svg }`. */
export function plotsOf({ scenarios, bytes }) {
  const drawn = scenarios.map((scenario) => ({ file: `${scenario.id}.svg`, svg: drawBars(scenarioPlot(scenario)) }))
  return bytes.length > 0 ? [...drawn, { file: 'bytes.svg', svg: drawBars(bytesPlot(bytes)) }] : drawn
}

/** The figure that a scenario is about, which is its table's first. */
function scenarioPlot(scenario) {
  const [column] = columnsOf(scenario)
  const reference = referenceOf(scenario, column.field, column.best)
  return {
    title: scenario.title,
    unit: column.heading,
    better: column.best === Math.max ? MORE : LESS,
    bars: scenario.contestants.filter(hasFigure).map((contestant) => {
      const value = contestant.medians[column.field]
      const each = contestant.rounds.map((round) => round[column.field]).filter((figure) => figure !== undefined)
      const times = reference && ratio(contestant, reference, column.field)
      const words = formatFigure(column, value) + (times ? ` (${formatTimes(times)}×)` : '')
      return { ...contestant, value, least: Math.min(...each), most: Math.max(...each), words }
    }),
  }

  function hasFigure({ medians }) {
    return medians?.[column.field] !== undefined
  }
}

function bytesPlot(bytes) {
  return {
    title: 'Redis, a key at a limit of 100, its window full',
    unit: 'bytes',
    better: 'less is better',
    bars: bytes
      .filter(({ fullBytes }) => fullBytes !== undefined)
      .map((one) => ({ ...one, value: one.fullBytes, words: formatNumber(one.fullBytes, 0) })),
  }
}
