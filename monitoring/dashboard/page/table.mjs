/** A table whose rows stay the same elements while their figures change, so that a focused button stays focused. */

import { html, setText } from './dom.mjs'
import { shownKey } from './format.mjs'

export class Table {
  #box
  #body
  #empty
  #columns
  #rows = new Map()

  /**
   * `columns` are `{ head, kind, fill(cell, row) }`: `fill` writes a cell, and is called with every change; `kind` is a class of the
   * cell, such as `number`. The first column names its row.
   */
  constructor(box, { caption, columns, empty }) {
    this.#box = box
    this.#columns = columns
    this.#body = html('tbody')
    this.#empty = html('p', { class: 'empty' }, empty)
    const head = columns.map(({ head, kind }) =>
      html(
        'th',
        { scope: 'col', class: kind },
        typeof head === 'string' ? head : html('span', { class: 'unseen' }, head.unseen),
      ),
    )
    const table = html(
      'table',
      {},
      html('caption', { class: 'unseen' }, caption),
      html('thead', {}, html('tr', {}, ...head)),
    )
    table.append(this.#body)
    box.replaceChildren(table, this.#empty)
    // What scrolls must be reached by the keyboard.
    new ResizeObserver(() => {
      const scrolls = box.scrollWidth > box.clientWidth
      for (const [name, value] of Object.entries({ tabindex: '0', role: 'region', 'aria-label': caption })) {
        if (scrolls) box.setAttribute(name, value)
        else box.removeAttribute(name)
      }
    }).observe(box)
  }

  /** Shows these rows in this order; each has an `id` of its own. */
  show(rows) {
    const focused = this.#box.contains(document.activeElement) ? document.activeElement : undefined
    this.#empty.hidden = rows.length > 0
    this.#body.parentElement.hidden = rows.length === 0
    const ids = new Set(rows.map(({ id }) => id))
    for (const [id, { element }] of this.#rows) {
      if (ids.has(id)) continue
      element.remove()
      this.#rows.delete(id)
    }
    for (const [index, row] of rows.entries()) {
      const { element, cells } = this.#rowOf(row)
      if (this.#body.children[index] !== element) this.#body.insertBefore(element, this.#body.children[index] ?? null)
      for (const [column, { fill }] of this.#columns.entries()) fill(cells[column], row)
    }
    if (focused?.isConnected && document.activeElement !== focused) focused.focus()
  }

  #rowOf({ id }) {
    const known = this.#rows.get(id)
    if (known) return known
    const cells = this.#columns.map(({ kind }, index) =>
      index === 0 ? html('th', { scope: 'row', class: kind }) : html('td', { class: kind }),
    )
    const row = { element: html('tr', {}, ...cells), cells }
    this.#rows.set(id, row)
    return row
  }
}

/** A name, and beneath it what it means. */
export function named(cell, name, meaning) {
  if (cell.firstChild === null) cell.append(html('bdi', { class: 'name' }), html('span', { class: 'meaning' }))
  setText(cell.firstChild, shownKey(name))
  setText(cell.lastChild, meaning)
}

/** A column of numbers. */
export const figures = (head, textOf, kind = '') => ({
  head,
  kind: `number ${kind}`.trim(),
  fill: (cell, row) => setText(cell, textOf(row)),
})

/** A column of bars: a share of the longest one. They repeat what a number beside them says. */
export const bars = (shareOf, tone) => ({
  head: { unseen: 'Share as a bar' },
  kind: 'bar',
  fill(cell, row) {
    if (cell.firstChild === null) {
      cell.append(html('span', { class: `track ${tone}`, 'aria-hidden': 'true' }, html('span', { class: 'filled' })))
    }
    cell.firstChild.firstChild.style.width = `${(100 * shareOf(row)).toFixed(1)}%`
  },
})
