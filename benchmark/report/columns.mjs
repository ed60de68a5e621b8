/** What is told of each kind of scenario, and how a figure is written. */

const RATE = { heading: 'calls/s', field: 'callsPerSecond', best: Math.max, digits: 0 }
const P50 = { heading: 'p50 µs', field: 'p50Us', best: Math.min, digits: 0 }
const P99 = { heading: 'p99 µs', field: 'p99Us', best: Math.min, digits: 0 }
const CPU = { heading: 'CPU µs a call', field: 'cpuUsPerCall', best: Math.min, digits: 1 }
const REDIS = { heading: 'Redis µs a call', field: 'redisUsPerCall', best: Math.min, digits: 1 }
// What share a library refuses is no contest: it shows that all did the same work.
const DENIED = { heading: 'denied', field: 'deniedPercent', digits: 1, unit: ' %' }

const LOOP = [{ heading: 'ns a call', field: 'nsPerCall', best: Math.min, digits: 0 }]
const CALLS = [RATE, P50, P99, CPU, REDIS, DENIED]
const PACED = [
  CPU,
  P50,
  P99,
  REDIS,
  { ...RATE, best: undefined },
  { heading: 'not even', field: 'latePercent', digits: 1, unit: ' %' },
]
const HTTP = [
  { ...RATE, heading: 'requests/s' },
  { ...CPU, heading: 'CPU µs a request' },
  { heading: 'server busy', field: 'busyPercent', digits: 0, unit: ' %' },
  { ...REDIS, heading: 'Redis µs a request' },
]

const LEASES = [RATE, CPU, REDIS, { heading: 'over the limit', field: 'over', digits: 0 }]

/** Those that are no calls in flight. */
const SPECIAL = {
  'memory-allowed': LOOP,
  'memory-denied': LOOP,
  // At one in flight a rate is a latency told the other way round.
  'redis-1': [P50, P99, CPU, REDIS, DENIED],
  leases: LEASES,
  'redis-paced': PACED,
  'http-express': HTTP,
  'http-fastify': HTTP,
}

/**
 * @typedef {object} Column
 * @property {string} heading
 * @property {string} field Of a round's figures.
 * @property {(...values: number[]) => number} [best] Which of several is best; where there is none, it is no contest.
 * @property {number} digits
 * @property {string} [unit]
 */

/** @returns {Column[]} */
export function columnsOf({ id }) {
  return SPECIAL[id] ?? CALLS
}

export function formatFigure({ digits, unit = '' }, value) {
  return `${formatNumber(value, digits)}${unit}`
}

export function formatNumber(value, digits) {
  return value.toLocaleString('en-US', { minimumFractionDigits: digits, maximumFractionDigits: digits })
}

/** A multiple, to three figures where it is small. */
export function formatTimes(value) {
  return formatNumber(value, value < 10 ? 2 : value < 100 ? 1 : 0)
}
