/** Bars as SVG: a figure of each contestant, the range of its rounds, its value in words. */

import { DARK, LIGHT, STYLE, round, text } from '../../docs/plots/style.mjs'

const WIDTH = 760
const AREA = { left: 16, right: 600, top: 56 }
const ROW = { height: 36, bar: 14 }

const BARS = `
${colours(LIGHT)}
@media (prefers-color-scheme: dark) {
${colours(DARK)}
}
`

function colours({ line, faint, grid, ink }) {
  return `.ours { fill: ${line} }
.peer { fill: ${faint} }
.context { fill: ${grid} }
.range { stroke: ${ink} }`
}

/**
 * @typedef {object} Bar
 * @property {string} label
 * @property {'ours' | 'peer' | 'context'} role
 * @property {number} value
 * @property {number} [least] Of the rounds.
 * @property {number} [most] Of the rounds.
 * @property {string} words The value as it is to be read.
 */

/** @param {{ title: string, unit: string, better: string, bars: Bar[] }} plot */
export function drawBars({ title, unit, better, bars }) {
  const longest = Math.max(...bars.map(({ value, most = value }) => Math.max(value, most)))
  const x = (value) => round(AREA.left + ((AREA.right - AREA.left) * value) / longest)
  const height = AREA.top + bars.length * ROW.height + 12
  const summary = `${title}, ${unit}: ${bars.map(({ label, words }) => `${label} ${words}`).join('; ')}`
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" role="img" aria-label="${escape(summary)}">`,
    `<style>${STYLE}${BARS}</style>`,
    `<rect class="back" width="${WIDTH}" height="${height}" rx="6"/>`,
    text(AREA.left, 24, escape(title), 'title'),
    text(AREA.left, 42, escape(`${unit}; ${better}`)),
    ...bars.flatMap((bar, index) => row(bar, AREA.top + index * ROW.height, x)),
    '</svg>',
    '',
  ].join('\n')
}

function row({ label, role, value, least, most, words }, top, x) {
  const [bar, middle] = [top + 16, top + 16 + ROW.bar / 2]
  // A bar that is too short to be seen is still one.
  const width = round(Math.max(1, Number(x(value)) - AREA.left))
  const ranges = least !== undefined && most > least
  return [
    text(AREA.left, top + 12, escape(label), role === 'ours' ? 'strong' : 'faint'),
    `<rect class="${role}" x="${AREA.left}" y="${bar}" width="${width}" height="${ROW.bar}"/>`,
    ...(ranges ? [`<path class="range" d="M${x(least)} ${middle}H${x(most)}"/>`] : []),
    text(Number(x(Math.max(value, most ?? value))) + 8, bar + 11, escape(words), role === 'ours' ? 'strong' : 'faint'),
  ]
}

function escape(words) {
  return words.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;')
}
