/** One plot as SVG: units admitted over time, the worst rolling window, and what became of every call. */

import { CALLS, END_S, LIMIT, WINDOW_S, worstWindow } from './traffic.mjs'

const SIZE = { width: 760, height: 348 }
const AREA = { left: 48, right: 744, top: 52, bottom: 268 }
const MOST_UNITS = 70
const CALL_ROWS = { admitted: 284, refused: 298 }

const LIGHT = {
  back: '#ffffff',
  ink: '#1f2328',
  faint: '#59636e',
  grid: '#d8dee4',
  mark: '#ddf4ff',
  line: '#0969da',
  refused: '#cf222e',
  later: '#8250df',
}
const DARK = {
  back: '#0d1117',
  ink: '#f0f6fc',
  faint: '#9198a1',
  grid: '#30363d',
  mark: '#12325a',
  line: '#58a6ff',
  refused: '#ff7b72',
  later: '#d2a8ff',
}

// A background of its own makes a plot legible wherever it stands; in the dark both change together.
const STYLE = `
text { font: 12px system-ui, sans-serif }
.title { font-size: 15px; font-weight: 600 }
.admitted, .leaving { fill: none; stroke-width: 2 }
.leaving { stroke-dasharray: 5 3 }
${colours(LIGHT)}
@media (prefers-color-scheme: dark) {
${colours(DARK)}
}
`

// Written out and not as variables, which some viewers do not know.
function colours({ back, ink, faint, grid, mark, line, refused, later }) {
  return `.back { fill: ${back} }
.faint { fill: ${faint} }
.title, .strong { fill: ${ink} }
.grid { stroke: ${grid} }
.mark { fill: ${mark} }
.admitted, .yes { stroke: ${line} }
.no { stroke: ${refused} }
.leaving { stroke: ${later} }`
}

const round = (value) => String(Math.round(value * 100) / 100)
const x = (seconds) => round(AREA.left + ((AREA.right - AREA.left) * seconds) / END_S)
const y = (units) => round(AREA.bottom - ((AREA.bottom - AREA.top) * units) / MOST_UNITS)

/** `decisions` are those of `replay`. */
export function draw(title, decisions) {
  const admitted = decisions.filter(({ allowed }) => allowed)
  const taken = admitted.map(({ at }) => at)
  const leaving = admitted.map(({ leaves }) => leaves)
  const waits = admitted.some(({ at, leaves }) => leaves > at)
  const worst = worstWindow(taken)
  const told = [`worst ${WINDOW_S} s: ${worst.count} admitted`]
  if (waits) told.push(`${worstWindow(leaving).count} on their way`)
  const summary = `${title}: of ${CALLS.length} calls ${admitted.length} admitted; ${told.join(', ')}, at a limit of ${LIMIT}`
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${SIZE.width} ${SIZE.height}" role="img" aria-label="${summary}">`,
    `<style>${STYLE}</style>`,
    `<rect class="back" width="${SIZE.width}" height="${SIZE.height}" rx="6"/>`,
    text(AREA.left, 24, title, 'title'),
    text(AREA.right, 24, `${admitted.length} of ${CALLS.length} calls admitted`, 'strong', 'end'),
    ...shade(worst, told.join(', ')),
    ...grid(),
    ...fates(decisions),
    `<path class="admitted" d="${steps(taken)}"/>`,
    ...(waits ? [`<path class="leaving" d="${steps(leaving)}"/>`] : []),
    legend(waits),
    '</svg>',
    '',
  ].join('\n')
}

/** A curve that rises by one at each of `times`, as far as the plot goes. */
function steps(times) {
  const shown = times.filter((time) => time <= END_S)
  const moves = shown.map((time, index) => `H${x(time)}V${y(index + 1)}`)
  return `M${x(0)} ${y(0)}${moves.join('')}H${x(END_S)}`
}

function shade({ from, to }, label) {
  const width = round(Number(x(Math.min(to, END_S))) - Number(x(from)))
  const height = AREA.bottom - AREA.top
  return [
    `<rect class="mark" x="${x(from)}" y="${AREA.top}" width="${width}" height="${height}"/>`,
    text(x(from), AREA.top - 7, label, 'strong'),
  ]
}

function grid() {
  const lines = []
  for (let units = 0; units <= MOST_UNITS; units += 10) {
    lines.push(`<path class="grid" d="M${AREA.left} ${y(units)}H${AREA.right}"/>`)
    lines.push(text(AREA.left - 8, Number(y(units)) + 4, units, 'faint', 'end'))
  }
  for (let seconds = 0; seconds <= END_S; seconds += WINDOW_S) {
    lines.push(`<path class="grid" d="M${x(seconds)} ${AREA.top}V${AREA.bottom}"/>`)
    lines.push(text(x(seconds), 318, `${seconds} s`, 'faint', seconds === END_S ? 'end' : 'middle'))
  }
  return lines
}

/** A stroke for each call, in the row of those admitted or of those refused. */
function fates(decisions) {
  const row = (top, allowed) => {
    const strokes = decisions.filter((decision) => decision.allowed === allowed).map(({ at }) => `M${x(at)} ${top}v10`)
    return strokes.join('')
  }
  return [
    `<path class="yes" d="${row(CALL_ROWS.admitted - 10, true)}"/>`,
    `<path class="no" d="${row(CALL_ROWS.refused - 10, false)}"/>`,
    text(AREA.left - 8, CALL_ROWS.admitted - 1, 'yes', 'faint', 'end'),
    text(AREA.left - 8, CALL_ROWS.refused - 1, 'no', 'faint', 'end'),
  ]
}

function legend(waits) {
  const after = waits ? ', dashed: when each may go on' : ''
  const words = `line: units admitted since the start${after}; strokes: calls; shaded: the worst rolling window`
  return text(AREA.left, 340, words)
}

function text(left, top, words, style = 'faint', anchor = 'start') {
  const anchored = anchor === 'start' ? '' : ` text-anchor="${anchor}"`
  return `<text class="${style}" x="${left}" y="${top}"${anchored}>${words}</text>`
}
