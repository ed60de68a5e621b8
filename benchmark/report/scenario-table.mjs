/** The table of one scenario: each figure, and how it compares with the best peer's in that column. */

const LOOP = [{ heading: 'ns a call', field: 'nsPerCall', best: Math.min, digits: 0 }]

const IN_FLIGHT = [
  { heading: 'calls/s', field: 'callsPerSecond', best: Math.max, digits: 0 },
  { heading: 'p50 µs', field: 'p50Us', best: Math.min, digits: 0 },
  { heading: 'p99 µs', field: 'p99Us', best: Math.min, digits: 0 },
  { heading: 'CPU µs a call', field: 'cpuUsPerCall', best: Math.min, digits: 1 },
  // What share a library refuses is no contest: it shows that all did the same work.
  { heading: 'denied', field: 'deniedPercent', digits: 1, unit: ' %' },
]

const RAW = [{ heading: 'decisions/s', field: 'decisionsPerSecond', best: Math.max, digits: 0 }]

const COLUMNS = {
  'memory-allowed': LOOP,
  'memory-denied': LOOP,
  'redis-256': IN_FLIGHT,
  'redis-hot': IN_FLIGHT,
  'redis-zipf': IN_FLIGHT,
  'redis-blocked': IN_FLIGHT,
  'redis-three': IN_FLIGHT,
  'redis-1': IN_FLIGHT,
  'redis-raw': RAW,
}

/** @returns {import('./table.mjs').Table} */
export function scenarioTable(scenario, scenarios) {
  const columns = COLUMNS[scenario.id]
  const bests = columns.map((column) => bestOfPeers(scenario, column))
  return {
    title: scenario.title,
    header: ['', ...columns.map(({ heading }) => heading)],
    rows: scenario.contestants.map(({ label, medians, error }) => [
      error === undefined ? label : `${label} (failed: ${error})`,
      ...columns.map((column, index) => (medians ? cell(column, medians[column.field], bests[index]) : '–')),
    ]),
    note: scenario.id === 'redis-raw' ? shareOfRaw(scenario, scenarios) : undefined,
  }
}

function bestOfPeers({ contestants }, { field, best }) {
  const peers = contestants.filter(({ ours, medians }) => !ours && medians).map(({ medians }) => medians[field])
  return best && peers.length > 0 ? best(...peers) : undefined
}

function cell({ digits, unit = '' }, value, best) {
  const figure = `${formatNumber(value, digits)}${unit}`
  return best === undefined ? figure : `${figure} (${formatNumber(value / best, 2)}×)`
}

/** Without this the raw figures would have nothing beside them. */
function shareOfRaw(raw, scenarios) {
  const calls = scenarios.find(({ id }) => id === 'redis-256')?.contestants ?? []
  const shares = raw.contestants.flatMap(({ id, label, medians }) => {
    const reached = calls.find((contestant) => contestant.id === id)?.medians
    if (!medians || !reached) return []
    return [`${label}: ${formatNumber((reached.callsPerSecond / medians.decisionsPerSecond) * 100, 0)} %`]
  })
  return shares.length > 0 ? `Of this, 256 calls in flight reach: ${shares.join('; ')}.` : undefined
}

export function formatNumber(value, digits) {
  return value.toLocaleString('en-US', { minimumFractionDigits: digits, maximumFractionDigits: digits })
}
