/** Limits that give way under load: what is left of them, and the load, over time. */

import { Chart } from './chart.mjs'
import { halfMinutes, most } from './course.mjs'
import { byId, html, setText } from './dom.mjs'
import * as format from './format.mjs'
import { figures, Table } from './table.mjs'

const least = (points, field) => points.reduce((min, { [field]: value }) => Math.min(min, value), Infinity)

export class Adaptive {
  #card = byId('adaptive-card')
  #chart = new Chart('adaptive', {
    stacked: false,
    least: 1,
    series: [
      { field: 'multiplier', label: 'Left of the limits' },
      { field: 'load', label: 'Load' },
    ],
    format: format.share,
    empty: 'Reading begins: a moment, please',
    describe: (points) => {
      const { multiplier, load } = points.at(-1)
      return (
        `Load, and what is left of the limits, since ${format.time(points[0].at)}. Now ${format.share(multiplier)} is left, at a load of ` +
        `${format.share(load)}; at least ${format.share(least(points, 'multiplier'))} was left. The table below has the course.`
      )
    },
  })
  #table = new Table(byId('adaptive-table'), {
    caption: 'Least that was left of the limits, and highest load, by half minutes',
    empty: 'Nothing yet.',
    columns: [
      { head: 'From', fill: (cell, { id }) => setText(cell, format.time(id)) },
      figures('Left of the limits', ({ multiplier }) => format.share(multiplier)),
      figures('Load', ({ load }) => format.share(load)),
    ],
  })

  /** `present` is what `stats()` says of it, `null` where the limits never give way. */
  show(points, present) {
    this.#card.hidden = present === null
    if (present === null) return
    const read = points.filter(({ multiplier }) => multiplier !== null)
    this.#chart.show(read)
    const course = (within) => ({ multiplier: least(within, 'multiplier'), load: most(within, 'load') })
    this.#table.show(halfMinutes(read, course))
    const facts = [
      ...Object.entries(present.priorities).map(([name, left]) => [`Left for ${name}`, format.share(left)]),
      ...Object.entries(present.signals).map(([name, load]) => [`Load by ${name}`, format.share(load)]),
      ...(present.failures > 0 ? [['Signals that failed', format.count(present.failures)]] : []),
    ]
    byId('adaptive-facts').replaceChildren(
      ...facts.map(([term, value]) => html('div', {}, html('dt', {}, term), html('dd', {}, value))),
    )
  }
}
