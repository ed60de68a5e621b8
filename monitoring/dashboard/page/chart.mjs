/** Charts over time, drawn by hand: areas that stand on each other, or lines. */

import { byId, html, svg } from './dom.mjs'
import { time } from './format.mjs'

/** A chart begins with a minute, and grows to what is kept. */
const [LEAST_MS, MOST_MS] = [60_000, 300_000]
/** Points further apart were not watched: no line joins them. */
const APART_MS = 5_000
const MARGIN = { top: 10, right: 4, bottom: 22, left: 46 }

/** The next number that can be halved by eye: 1, 2, 3, 4, 6, 8, 10, 20, … */
export function roundUp(value) {
  const power = 10 ** Math.floor(Math.log10(value))
  return [1, 2, 3, 4, 6, 8, 10].map((step) => step * power).find((step) => step >= value)
}

export class Chart {
  #svg
  #legend
  #options
  #points = []
  #slowest
  #width = 0
  #hovered

  /**
   * `series` are `{ field, label }`, drawn from the first upwards; `stacked` puts each on the one before; `format` writes a value;
   * `describe(points)` is the text in the chart's place.
   */
  constructor(id, options) {
    this.#svg = byId(`${id}-chart`)
    this.#legend = byId(`${id}-legend`)
    this.#options = options
    new ResizeObserver(([{ contentRect }]) => {
      this.#width = contentRect.width
      this.#draw()
    }).observe(this.#svg)
    this.#svg.addEventListener('pointermove', (event) => this.#hover(event.offsetX))
    this.#svg.addEventListener('pointerleave', () => this.#hover(undefined))
  }

  show(points, slowest) {
    this.#points = points
    this.#slowest = slowest
    this.#draw()
  }

  #hover(x) {
    this.#hovered = x
    this.#draw()
  }

  #draw() {
    const { format, describe, empty } = this.#options
    const shown = this.#points
    this.#svg.setAttribute('aria-label', shown.length < 2 ? empty : describe(shown))
    const width = this.#width
    const height = this.#svg.clientHeight
    if (width === 0 || height === 0) return
    this.#svg.setAttribute('viewBox', `0 0 ${width} ${height}`)
    const plot = { left: MARGIN.left, right: width - MARGIN.right, top: MARGIN.top, bottom: height - MARGIN.bottom }
    if (shown.length < 2) {
      this.#svg.replaceChildren(
        svg('line', { class: 'axis', x1: plot.left, x2: plot.right, y1: plot.bottom, y2: plot.bottom }),
        svg('text', { class: 'label', x: width / 2, y: height / 2, 'text-anchor': 'middle' }, empty),
      )
      this.#say(undefined)
      return
    }
    const end = shown.at(-1).at
    const span = Math.min(MOST_MS, Math.max(LEAST_MS, end - shown[0].at))
    const stacks = shown.filter(({ at }) => at >= end - span).map((point) => ({ point, tops: this.#tops(point) }))
    const highest = Math.max(this.#options.least, ...stacks.flatMap(({ tops }) => tops.map((top) => top ?? 0)))
    const top = roundUp(highest)
    const x = (at) => plot.right - ((end - at) / span) * (plot.right - plot.left)
    const y = (value) => plot.bottom - (value / top) * (plot.bottom - plot.top)

    const drawn = []
    for (const part of [0, 0.5, 1]) {
      const at = y(top * part)
      drawn.push(
        svg('line', { class: part === 0 ? 'axis' : 'grid', x1: plot.left, x2: plot.right, y1: at, y2: at }),
        svg('text', { class: 'label', x: plot.left - 8, y: at + 4, 'text-anchor': 'end' }, format(top * part)),
      )
    }
    for (const [part, anchor] of [
      [0, 'start'],
      [0.5, 'middle'],
      [1, 'end'],
    ]) {
      const at = plot.left + part * (plot.right - plot.left)
      const label = part === 1 ? 'now' : ago(span * (1 - part))
      drawn.push(svg('text', { class: 'label', x: at, y: height - 5, 'text-anchor': anchor }, label))
    }
    drawn.push(...this.#shapes(stacks, x, y))

    const near =
      this.#hovered === undefined ? undefined : nearest(stacks, (point) => Math.abs(x(point.at) - this.#hovered))
    if (near) {
      const at = x(near.point.at)
      drawn.push(svg('line', { class: 'cursor', x1: at, x2: at, y1: plot.top, y2: plot.bottom }))
    }
    this.#svg.replaceChildren(...drawn)
    this.#say(near?.point)
  }

  /** Up to where each series reaches at a point; `null` where nothing is known. */
  #tops(point) {
    let sum = 0
    return this.#options.series.map(({ field }) => {
      if (!this.#options.stacked || point[field] === null) return point[field]
      return (sum += point[field])
    })
  }

  #shapes(stacks, x, y) {
    const shapes = []
    const { series, stacked } = this.#options
    for (const index of series.keys()) {
      const { field } = series[index]
      for (const run of runs(stacks, index)) {
        const tops = run.map(({ point, tops }) => `${x(point.at).toFixed(1)} ${y(tops[index]).toFixed(1)}`)
        if (stacked) {
          const below = run.map(({ point, tops }) => `${x(point.at).toFixed(1)} ${y(tops[index - 1] ?? 0).toFixed(1)}`)
          shapes.unshift(svg('path', { class: `area ${field}`, d: `M${tops.join('L')}L${below.reverse().join('L')}Z` }))
        }
        shapes.push(svg('path', { class: `line ${field}`, d: `M${tops.join('L')}` }))
      }
    }
    return shapes
  }

  /** The legend, which tells the values of the moment that is pointed at. */
  #say(point) {
    const { series, format } = this.#options
    const entries = series.map(({ field, label }) =>
      html(
        'span',
        { class: 'entry' },
        html('span', { class: `swatch ${field}`, 'aria-hidden': 'true' }),
        point ? `${label} ${format(point[field], this.#slowest)}` : label,
      ),
    )
    this.#legend.replaceChildren(...(point ? [html('span', { class: 'entry' }, time(point.at))] : []), ...entries)
  }
}

/** Stretches of points that were watched without a break, in which the series is known. */
function runs(stacks, index) {
  const found = [[]]
  for (const stack of stacks) {
    const last = found.at(-1).at(-1)
    if (stack.tops[index] === null) found.push([])
    else if (last && stack.point.at - last.point.at > APART_MS) found.push([stack])
    else found.at(-1).push(stack)
  }
  return found.filter((run) => run.length > 1)
}

function nearest(stacks, distance) {
  return stacks.reduce((best, stack) => (distance(stack.point) < distance(best.point) ? stack : best))
}

const ago = (ms) => (ms < 90_000 ? `${Math.round(ms / 1_000)} s ago` : `${Math.round(ms / 6_000) / 10} min ago`)
