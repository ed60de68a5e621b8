/** The few lines of a run that a newcomer wants: our default algorithm, the best peer, and how many times better. */

import { bestPeer, ratio } from '../comparison.mjs'
import { formatFigure, formatTimes, columnsOf } from './columns.mjs'

const DEFAULT = 'ours-sliding-window'

/** Which figure tells the most of a scenario, what it is called here, and who of ours it is of. */
const LINES = [
  { scenario: 'memory-allowed', name: 'in memory, allowed', field: 'nsPerCall', unit: 'ns' },
  { scenario: 'memory-denied', name: 'in memory, denied', field: 'nsPerCall', unit: 'ns' },
  { scenario: 'redis-256', name: 'Redis, 10,000 keys, 256 in flight', field: 'callsPerSecond', unit: 'calls/s' },
  { scenario: 'redis-256', name: 'the same: CPU of Node.js', field: 'cpuUsPerCall', unit: 'µs a call' },
  { scenario: 'redis-hot', name: 'Redis, one key, 1,024 in flight', field: 'callsPerSecond', unit: 'calls/s' },
  {
    scenario: 'leases',
    name: 'Redis, one key, 4 processes, leases',
    field: 'callsPerSecond',
    unit: 'calls/s',
    ours: 'ours-lease-sliding-window',
  },
  { scenario: 'redis-blocked', name: 'Redis, one key that is denied', field: 'callsPerSecond', unit: 'calls/s' },
  { scenario: 'redis-three', name: 'Redis, three limits a call', field: 'callsPerSecond', unit: 'calls/s' },
  { scenario: 'redis-1', name: 'Redis, one call in flight: median', field: 'p50Us', unit: 'µs' },
  {
    scenario: 'redis-paced',
    name: 'Redis, 5,000 calls/s over 4 processes: CPU',
    field: 'cpuUsPerCall',
    unit: 'µs a call',
  },
  {
    scenario: 'http-fastify',
    name: 'Fastify on Redis, 100 connections',
    field: 'callsPerSecond',
    unit: 'requests/s',
    ours: 'fastify-ours',
  },
]

/** @returns {import('./table.mjs').Table} */
export function summaryTable(scenarios) {
  const measured = LINES.flatMap((line) => {
    const scenario = scenarios.find(({ id }) => id === line.scenario)
    const ours = scenario?.contestants.find(({ id, medians }) => id === (line.ours ?? DEFAULT) && medians)
    const column = scenario && columnsOf(scenario).find(({ field }) => field === line.field)
    const peer = column && bestPeer(scenario, line.field, column.best)
    return ours && peer ? [{ ...line, ours, peer, column }] : []
  })
  return {
    title: 'Ours beside the best peer',
    header: ['', 'ours', 'best peer', 'which is', 'times better'],
    rows: measured.map(({ name, field, unit, ours, peer, column }) => [
      name,
      `${formatFigure(column, ours.medians[field])} ${unit}`,
      `${formatFigure(column, peer.medians[field])} ${unit}`,
      peer.label,
      formatTimes(column.best === Math.max ? ratio(ours, peer, field) : ratio(peer, ours, field)),
    ]),
  }
}
