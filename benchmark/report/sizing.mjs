/** What an operator reckons with: what a decision takes of Redis and of Node.js under different loads, and what a key takes. */

import { columnsOf, formatFigure, formatNumber } from './columns.mjs'

const DEFAULT = 'ours-sliding-window'

/** How calls come, from the dearest for Redis to the cheapest. */
const LOADS = [
  { scenario: 'redis-1', name: 'one call at a time' },
  { scenario: 'redis-paced', name: '5,000 calls/s, evenly spaced, from 4 processes' },
  { scenario: 'redis-three', name: 'three limits a call, 256 in flight' },
  { scenario: 'redis-256', name: '10,000 keys, 256 calls in flight' },
  { scenario: 'redis-hot', name: 'one key, 1,024 calls in flight' },
  { scenario: 'leases', name: 'one key, 4 processes, leases', ours: 'ours-lease-sliding-window' },
  { scenario: 'redis-blocked', name: 'one key that is refused' },
]

/** Of the default algorithm. @returns {import('./table.mjs').Table} */
export function loadsTable(scenarios) {
  return {
    title: 'What a decision takes',
    header: ['how calls come', 'of Redis', 'of Node.js'],
    rows: LOADS.flatMap(({ scenario: id, name, ours = DEFAULT }) => {
      const scenario = scenarios.find((one) => one.id === id)
      const medians = scenario?.contestants.find((one) => one.id === ours)?.medians
      if (medians === undefined) return []
      const figure = (field) => {
        const column = columnsOf(scenario).find((one) => one.field === field)
        return `${formatFigure(column, medians[field])} µs`
      }
      return [[name, figure('redisUsPerCall'), figure('cpuUsPerCall')]]
    }),
  }
}

/** @returns {import('./table.mjs').Table} */
export function keysTable(bytes) {
  const ours = bytes.filter(({ role }) => role === 'ours')
  return {
    title: 'What a key takes, at a limit of 100',
    header: ['', 'in Redis, its window full', 'in a process that decides by itself'],
    rows: ours.map(({ label, fullBytes, memoryBytes }) => [
      label.replace(/^ours, /, ''),
      `${formatNumber(fullBytes, 0)} B`,
      `${formatNumber(memoryBytes, 0)} B`,
    ]),
  }
}
