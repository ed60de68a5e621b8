/** The plots of docs/scale.md, drawn from a report. */

import { bars, lines } from './drawing.mjs'
import { HEADROOM, nodesFor } from './formula.mjs'
import { ALGORITHMS, MODES } from './points.mjs'

const percent = (value) => `${Number((100 * value).toFixed(2))} %`
const short = (value) => (value >= 0.1 ? value.toFixed(2) : value.toPrecision(2))
const unique = (values) => [...new Set(values)]

/** Each file's name with its text. */
export function plots({ scale, latency, use }) {
  return {
    'operations.svg': operations(scale),
    'nodes.svg': nodes(scale),
    'latency.svg': latencies(latency),
    'under-use.svg': leases(use),
  }
}

function operations(scale) {
  const id = scale.at(-1).id
  const own = scale.filter((point) => point.id === id)
  const groups = unique(own.map(({ who }) => who)).map((who) => ({
    label: who.replace(', ', ',\n'),
    values: own.filter((point) => point.who === who).map(({ report }) => report.operationsADecision),
  }))
  const title = `Operations of Redis for a decision, at ${id}`
  const axis = { least: 0, most: 1.1, ticks: [0, 0.25, 0.5, 0.75, 1] }
  return bars({ title, summary: title, series: MODES, groups, axis, format: short })
}

function nodes(scale) {
  const who = scale[0].who
  const own = scale.filter((point) => point.who === who)
  const all = MODES.map((mode) =>
    own
      .filter(({ world }) => world.mode === mode)
      .map(({ world, report }) => [world.rate, nodesFor(world.rate, report)]),
  )
  const rates = unique(own.map(({ world }) => world.rate))
  const title = `Nodes of Redis that calls need, ${100 * HEADROOM} % busy: ${who}`
  const x = {
    least: rates[0],
    most: rates.at(-1),
    isLog: true,
    ticks: rates,
    format: (rate) => rate.toLocaleString('en'),
    words: 'requests a second',
  }
  const y = { least: 1, most: 400, isLog: true, ticks: [1, 3, 10, 30, 100, 300], format: String }
  return lines({ title, summary: title, series: MODES, lines: all, x, y })
}

function latencies(points) {
  const of = (name) => points.map(({ part, report }) => [part, report[name] / 1_000])
  const title = 'Added latency of a call that Redis decides, by how busy its nodes are'
  const x = {
    least: 0.1,
    most: 1,
    ticks: [0.1, 0.3, 0.5, 0.7, 0.9],
    format: (part) => `${100 * part} %`,
    words: 'busy',
  }
  const y = { least: 0.1, most: 10, isLog: true, ticks: [0.1, 0.3, 1, 3, 10], format: (ms) => `${ms} ms` }
  return lines({
    title,
    summary: title,
    series: ['p50', 'p99', 'p99.9'],
    lines: ['p50Us', 'p99Us', 'p999Us'].map(of),
    x,
    y,
  })
}

function leases(rows) {
  const limit = 10_000
  const words = unique(rows.map((row) => row.words))
  const groups = words.map((own) => {
    const two = ALGORITHMS.map((algorithm) =>
      rows.find((row) => row.words === own && row.algorithm === algorithm && row.limit === limit),
    )
    return { label: broken(own), values: two.map(({ beyond }) => beyond), marks: two.map(({ bound }) => bound) }
  })
  const title = 'What leases leave unused of a limit, 16 processes; a bound is a stroke'
  const axis = {
    least: 0,
    most: 0.11,
    ticks: [0, 0.02, 0.04, 0.06, 0.08, 0.1],
    format: (value) => `${Math.round(100 * value)} %`,
  }
  return bars({ title, summary: title, series: ALGORITHMS, groups, axis, format: percent })
}

/** Over three lines. */
function broken(words) {
  const lines = ['']
  for (const word of words.split(' ')) {
    if (`${lines.at(-1)} ${word}`.length > 16) lines.push(word)
    else lines[lines.length - 1] = `${lines.at(-1)} ${word}`.trim()
  }
  return lines.join('\n')
}
