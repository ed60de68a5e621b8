/** The table of what a key takes. */

import { formatNumber } from './columns.mjs'

/** @returns {import('./table.mjs').Table} */
export function bytesTable(bytes) {
  const log = bytes.find(({ id }) => id === 'sorted-set-log')
  const whole = (value, of) => {
    if (value === undefined) return '–'
    return of ? `${formatNumber(value, 0)} (${formatNumber(value / of, 2)}×)` : formatNumber(value, 0)
  }
  return {
    title: 'Bytes a key, at a limit of 100',
    header: ['', 'in Redis, window full', 'in Redis, window half full', 'in the process, one call'],
    rows: bytes.map(({ label, error, fullBytes, halfBytes, memoryBytes }) => [
      error === undefined ? label : `${label} (failed: ${error})`,
      whole(fullBytes, log?.fullBytes),
      whole(halfBytes, log?.halfBytes),
      whole(memoryBytes),
    ]),
    note:
      'In Redis: MEMORY USAGE of the median key, its name included, after as many calls as the limit evenly over one window, ' +
      'and after half as many; in parentheses, multiples of the log in a sorted set. In the process: by how much it grew for ' +
      'a key of 10 bytes, the key included.',
  }
}
