// What frames are made of.
'use strict'

const { count, cut, padStart, width } = require('../terminal/text.js')

const BARS = '▁▂▃▄▅▆▇█'
const GAP = '   '
const [FEWEST, MOST] = [10, 60]

/** Numbers as a row of small bars, each in proportion to the largest. */
function sparkline(numbers, columns) {
  const shown = numbers.slice(-columns)
  const most = Math.max(...shown, 1)
  return shown.map((number) => BARS[Math.round((number / most) * (BARS.length - 1))]).join('')
}

/** Labelled values beside each other, as many as fit into a line, then on the next one. */
function facts(list, { columns, style }) {
  const lines = []
  let used = Infinity
  for (const [label, value, paint = (text) => text] of list) {
    const own = width(label) + 1 + width(value)
    if (used + GAP.length + own > columns) {
      lines.push('')
      used = 0
    } else {
      lines[lines.length - 1] += GAP
      used += GAP.length
    }
    lines[lines.length - 1] += `${style.dim(label)} ${paint(value)}`
    used += own
  }
  return lines
}

/** A line with a row of bars behind it, where there is room for some. */
function withSparkline(line, numbers, { columns, paint }) {
  const room = columns - width(line) - GAP.length
  return room < FEWEST || numbers.length === 0 ? line : line + GAP + paint(sparkline(numbers, Math.min(room, MOST)))
}

/** A line with one text at its beginning and one at its end, where there is room for both. */
function between(left, right, { columns, paint = (text) => text, paintRight = (text) => text }) {
  const room = columns - width(right) - 1
  if (room < width(left)) return paint(cut(left, columns))
  return paint(left) + paintRight(padStart(right, columns - width(left)))
}

/** A number for each second. */
const rate = (number) =>
  number === undefined || number === null ? '–' : `${count(number, number > 0 && number < 10 ? 1 : 0)}/s`

module.exports = { between, facts, rate, sparkline, withSparkline }
