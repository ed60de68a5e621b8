// Rows in columns. One column gives way where there is not enough room.
'use strict'

const { cut, pad, padStart, width } = require('./text.js')

const GAP = '  '

/**
 * Lines of a table. A column is `{ title, isNumber, gives, style }`: the one that gives is cut to what is left of `columns`.
 * `style(text, row)` is put on a cell when it has its width.
 */
function table(columns, rows, { width: most = Infinity, style }) {
  const widths = columns.map(({ title }, at) => Math.max(width(title), ...rows.map((row) => width(row[at]))))
  const giving = columns.findIndex(({ gives }) => gives)
  const whole = widths.reduce((sum, each) => sum + each, GAP.length * (columns.length - 1))
  if (giving !== -1 && whole > most) widths[giving] = Math.max(8, widths[giving] - (whole - most))
  const line = (cells, paint) =>
    cells
      .map((cell, at) => {
        const fitting = cut(cell, widths[at])
        const padded = columns[at].isNumber ? padStart(fitting, widths[at]) : pad(fitting, widths[at])
        return paint(at, at === columns.length - 1 ? padded.trimEnd() : padded)
      })
      .join(GAP)
  const head = line(
    columns.map(({ title }) => title),
    (_, text) => style.dim(text),
  )
  return [head, ...rows.map((row) => line(row, (at, text) => columns[at].style?.(text, row) ?? text))]
}

module.exports = { table }
