/** The tables of what was measured of memory. */

import { formatNumber } from './columns.mjs'

/** @returns {import('./table.mjs').Table[]} */
export function memoryTables(measurements) {
  return [keysTable(withField(measurements, 'bytesPerKey')), callsTable(withField(measurements, 'afterFirst'))].filter(
    ({ rows }) => rows.length > 0,
  )
}

function withField(measurements, field) {
  return measurements.filter(({ figures }) => figures && field in figures)
}

function keysTable(measurements) {
  return {
    title: 'Memory of a key, over the 10 bytes of the key itself',
    header: ['', 'keys', 'grown by MiB', 'bytes a key', 'target', ''],
    rows: measurements.map(({ title, figures, target }) => [
      title,
      formatNumber(figures.keys, 0),
      mebibytes(figures.grownBytes),
      formatNumber(figures.bytesPerKey, 0),
      ...verdict(target, (bound) => formatNumber(bound, 0)),
    ]),
  }
}

function callsTable(measurements) {
  return {
    title: 'Memory of the process after many calls, MiB',
    header: ['', 'calls', 'after a part', 'calls', 'after all', 'grown by', 'target', ''],
    rows: measurements.map(({ title, figures, target }) => [
      title,
      formatNumber(figures.firstCalls, 0),
      mebibytes(figures.afterFirst),
      formatNumber(figures.calls, 0),
      mebibytes(figures.afterAll),
      mebibytes(figures.grownBytes),
      ...verdict(target, mebibytes),
    ]),
  }
}

function verdict(target, format) {
  return target === undefined ? ['', ''] : [`≤ ${format(target.atMost)}`, target.kept ? 'pass' : 'FAIL']
}

function mebibytes(bytes) {
  return formatNumber(bytes / 2 ** 20, 1)
}
