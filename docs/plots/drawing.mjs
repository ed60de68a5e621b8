/** One plot as SVG: units admitted over time, the worst rolling window, and what became of every call. */

import { STYLE, round, text } from './style.mjs'
import { CALLS, END_S, LIMIT, WINDOW_S, worstWindow } from './traffic.mjs'

const SIZE = { width: 760, height: 348 }
const AREA = { left: 48, right: 744, top: 52, bottom: 268 }
const MOST_UNITS = 70
const CALL_ROWS = { admitted: 284, refused: 298 }

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
