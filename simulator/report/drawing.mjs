/** Plots as SVG: groups of bars, and lines. */

import { STYLE, round, text } from '../../docs/plots/style.mjs'

const WIDTH = 760
const AREA = { left: 64, right: 744, top: 62, bottom: 268 }
const HEIGHT = 330

/** Colours that are told apart in the light and in the dark, and by most who see them differently. */
const COLOURS = ['#8c959f', '#0969da', '#bf8700', '#1a7f37', '#cf222e']
const OWN = COLOURS.map(
  (colour, index) => `.s${index} { fill: ${colour} } .l${index} { stroke: ${colour}; fill: none; stroke-width: 2 }`,
)

const across = (part) => AREA.left + (AREA.right - AREA.left) * part
const up = (part) => AREA.bottom - (AREA.bottom - AREA.top) * part

function frame(title, summary, height, inside) {
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" role="img" aria-label="${summary}">`,
    `<style>${STYLE}${OWN.join('\n')}</style>`,
    `<rect class="back" width="${WIDTH}" height="${height}" rx="6"/>`,
    text(AREA.left, 24, title, 'title'),
    ...inside,
    '</svg>',
    '',
  ].join('\n')
}

function legend(series) {
  let left = AREA.left
  return series.flatMap((name, index) => {
    const parts = [`<rect class="s${index}" x="${left}" y="34" width="10" height="10"/>`, text(left + 15, 43, name)]
    left += 15 + 7 * name.length + 18
    return parts
  })
}

/** Where a value stands between `least` and `most`: evenly, or by its logarithm. */
function scaleOf({ least, most, isLog }) {
  if (!isLog) return (value) => (value - least) / (most - least)
  const [from, to] = [Math.log(least), Math.log(most)]
  return (value) => (Math.log(Math.min(Math.max(value, least), most)) - from) / (to - from)
}

function rules(ticks, scale, format) {
  return ticks.flatMap((tick) => [
    `<path class="grid" d="M${AREA.left} ${round(up(scale(tick)))}H${AREA.right}"/>`,
    text(AREA.left - 8, round(up(scale(tick)) + 4), format(tick), 'faint', 'end'),
  ])
}

/** `groups` are `{ label, values, marks? }`, a value for each of `series`; a mark is a bound that is drawn across its bar. */
export function bars({ title, summary, series, groups, axis, format }) {
  const scale = scaleOf(axis)
  const each = 1 / groups.length
  const wide = ((AREA.right - AREA.left) * each * 0.8) / series.length
  const shapes = groups.flatMap(({ label, values, marks = [] }, group) => {
    const left = across(group * each + each * 0.1)
    const shown = values.flatMap((value, index) => {
      const [x, y] = [left + index * wide, up(Math.max(0, scale(value)))]
      const mark =
        marks[index] === undefined
          ? []
          : [
              `<path class="no" stroke-width="2" d="M${round(x)} ${round(up(scale(marks[index])))}h${round(wide - 2)}"/>`,
            ]
      return [
        `<rect class="s${index}" x="${round(x)}" y="${round(y)}" width="${round(wide - 2)}" height="${round(AREA.bottom - y)}"/>`,
        text(round(x + wide / 2 - 1), round(y - 4), format(value), 'faint', 'middle'),
        ...mark,
      ]
    })
    const words = label.split('\n')
    return [
      ...shown,
      ...words.map((word, line) =>
        text(round(across((group + 0.5) * each)), AREA.bottom + 18 + 15 * line, word, 'faint', 'middle'),
      ),
    ]
  })
  return frame(title, summary, HEIGHT, [
    ...legend(series),
    ...rules(axis.ticks, scale, axis.format ?? format),
    ...shapes,
  ])
}

/** `lines` are lists of `[x, y]`, one for each of `series`; their points are marked unless there are many. */
export function lines({ title, summary, series, lines: all, x, y, isMarked = true }) {
  const [right, high] = [scaleOf(x), scaleOf(y)]
  const at = ([a, b]) => `${round(across(right(a)))} ${round(up(high(b)))}`
  const drawn = all.flatMap((points, index) => [
    `<path class="l${index}" d="M${points.map(at).join('L')}"/>`,
    ...(isMarked ? points : []).map(
      (point) => `<circle class="s${index}" cx="${at(point).replace(' ', '" cy="')}" r="3"/>`,
    ),
  ])
  const below = x.ticks.map((tick) => {
    const anchor = right(tick) > 0.97 ? 'end' : 'middle'
    return text(round(across(right(tick))), AREA.bottom + 18, x.format(tick), 'faint', anchor)
  })
  const inside = [
    ...legend(series),
    ...rules(y.ticks, high, y.format),
    ...below,
    text(across(0.5), AREA.bottom + 40, x.words, 'faint', 'middle'),
    ...drawn,
  ]
  return frame(title, summary, HEIGHT, inside)
}
