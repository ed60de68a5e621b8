/** One table, as text for a terminal and as Markdown. */

/**
 * @typedef {object} Table
 * @property {string} title
 * @property {string[]} header
 * @property {number} [prose] How many of the first columns are text and not figures; 1 by default.
 * @property {string[][]} rows
 * @property {string} [note] A sentence below it.
 * @property {string} [plot] A picture of it that Markdown shows above it.
 */

/** @param {Table} table */
export function toText({ title, header, rows, note, prose }) {
  const widths = widthsOf(header, rows)
  const line = (cells) => `  ${align(cells, widths, prose).join('  ')}`.trimEnd()
  const rule = line(widths.map((width) => '─'.repeat(width)))
  return [title, '', line(header), rule, ...rows.map(line), ...(note ? ['', `  ${note}`] : []), ''].join('\n')
}

/** @param {Table} table */
export function toMarkdown({ title, header, rows, note, plot, prose = 1 }) {
  const widths = widthsOf(header, rows)
  const line = (cells) => `| ${align(cells, widths, prose).join(' | ')} |`
  const rule = widths.map((width, column) => (column < prose ? '-'.repeat(width) : `${'-'.repeat(width - 1)}:`))
  const heading = [`### ${title}`, '', ...(plot ? [`![${title}](${plot})`, ''] : [])]
  return [...heading, line(header), line(rule), ...rows.map(line), ...(note ? ['', note] : []), ''].join('\n')
}

function widthsOf(header, rows) {
  return header.map((_, column) => Math.max(3, ...[header, ...rows].map((cells) => cells[column].length)))
}

function align(cells, widths, prose = 1) {
  return cells.map((cell, column) => (column < prose ? cell.padEnd(widths[column]) : cell.padStart(widths[column])))
}
