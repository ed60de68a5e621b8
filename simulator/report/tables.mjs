/** The tables of docs/scale.md, from a report. */

import { HEADROOM, nodesFor, wholeNodes } from './formula.mjs'

const whole = (value) => Math.round(value).toLocaleString('en')
// A nought has no sign.
const percent = (value, digits = 0) => `${(100 * value).toFixed(digits).replace(/^-(?=[0.]*$)/, '')} %`
const each = (value) => (value >= 0.1 ? value.toFixed(2) : value.toPrecision(2))

function table(head, rows, left = 1) {
  const line = (cells) => `| ${cells.join(' | ')} |`
  const rule = head.map((_, index) => (index < left ? '---' : '--:'))
  return [line(head), line(rule), ...rows.map(line)].join('\n')
}

/** Each marker of the document with what stands there. */
export function tables({ costs, scale, latency, use, real, example }) {
  return {
    costs: costTable(costs),
    scale: scaleTable(scale),
    example: exampleTable(example ?? scale),
    latency: latencyTable(latency),
    use: useTable(use),
    real: realTable(real),
  }
}

function costTable(costs) {
  const rows = Object.entries(costs).map(([algorithm, { callNs, keyNs }]) => {
    const many = 1e9 / (callNs / 50 + keyNs)
    return [
      algorithm,
      `${(callNs / 1e3).toFixed(1)} µs`,
      `${(keyNs / 1e3).toFixed(1)} µs`,
      whole(1e9 / (callNs + keyNs)),
      whole(many),
    ]
  })
  return table(
    ['algorithm', 'a call of the script', 'each key in it', 'decisions/s, one key a call', 'fifty keys a call'],
    rows,
  )
}

function scaleTable(points) {
  const rows = points.map(({ id, who, world, report }) => [
    id,
    whole(world.gateways),
    whole(world.keys),
    who,
    world.mode,
    each(report.operationsADecision),
    wholeNodes(world.rate, report),
    report.busiestNode.toFixed(2),
    report.over,
  ])
  const head = [
    'requests',
    'gateways',
    'keys',
    'callers',
    'mode',
    'operations a decision',
    'nodes',
    'cores of the busiest',
    'over',
  ]
  return table(head, rows, 5)
}

function exampleTable(points) {
  const rate = 5e6
  const own = points.filter(({ world }) => world.rate === rate)
  const rows = own.map(({ who, world, report }) => [
    who,
    world.mode,
    each(report.operationsADecision),
    whole(rate * report.operationsADecision),
    (report.redisNsADecision / 1e3 / report.operationsADecision).toFixed(1),
    nodesFor(rate, report).toFixed(1),
    wholeNodes(rate, report),
  ])
  return table(
    ['callers', 'mode', 'operations a decision', 'operations/s', 'µs each', `at ${percent(HEADROOM)} busy`, 'nodes'],
    rows,
    2,
  )
}

function latencyTable(points) {
  const rows = points.map(({ part, report }) => [
    percent(part),
    ...['p50Us', 'p99Us', 'p999Us'].map((name) => `${(report[name] / 1e3).toFixed(2)} ms`),
  ])
  return table(['nodes busy', 'p50', 'p99', 'p99.9'], rows)
}

function useTable(rows) {
  const cells = rows.map((row) => [
    row.algorithm,
    whole(row.limit),
    row.words,
    percent(row.without, 2),
    percent(row.with, 2),
    percent(row.beyond, 2),
    percent(row.bound),
    row.beyond <= row.bound ? 'kept' : 'NOT KEPT',
    percent(row.leased),
  ])
  return table(
    ['algorithm', 'limit', 'calls', 'unused without leases', 'with', 'beyond', 'bound', '', 'admitted by leases'],
    cells,
    3,
  )
}

function realTable(rows) {
  const cells = rows.flatMap(({ algorithm, mode, real, simulated }) => [
    [
      algorithm,
      mode,
      whole(simulated.admitted),
      whole(real.admitted),
      each(simulated.operationsADecision),
      each(real.operationsADecision),
    ],
  ])
  return table(
    ['algorithm', 'mode', 'admitted, simulated', 'real', 'operations a decision, simulated', 'real'],
    cells,
    2,
  )
}
