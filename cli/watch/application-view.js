// A frame of what is seen of an application, line by line; and the same in one line for a log.
'use strict'

const { between, facts, rate, withSparkline } = require('./parts.js')
const { table } = require('../terminal/table.js')
const { count, cut, printable, time } = require('../terminal/text.js')

/** What an application tells: `{ at, title, limiters, trouble, clock }`. */
function applicationFrame({ at, title, limiters, trouble, clock }, { columns, rows, style }) {
  const head = title === undefined ? at : `${printable(title)}  ${at}`
  const lines = [between(head, `${clock}  q leaves`, { columns, paint: style.bold, paintRight: style.dim })]
  lines.push(trouble === undefined ? '' : style.red(cut(trouble, columns)))
  const room = Math.floor((rows - lines.length) / Math.max(1, limiters.length))
  for (const limiter of limiters) lines.push(...limiterLines(limiter, { columns, rows: room, style }))
  return lines
}

function limiterLines({ name, state, policies, history }, { columns, rows, style }) {
  const { store, circuit, sources, p50, p99, pending, storeErrors } = state
  const bad = (is) => (is ? style.red : style.green)
  const of = (field) => history.map((point) => point[field])
  const rated = (label, number, field, paint) =>
    withSparkline(facts([[label, rate(number), style.bold]], { columns, style })[0], of(field), { columns, paint })
  const by = sources.filter(({ count: number }) => number > 0).map((source) => [source.name, rate(source.rate)])
  const lines = [
    style.bold(cut(printable(name), columns)),
    rated('allowed', state.allowedRate, 'allowed', style.green),
    rated('denied ', state.deniedRate, 'denied', style.red),
    ...facts(
      [
        ['store', store, bad(store === 'down')],
        ['circuit', circuit, bad(circuit === 'open')],
        ['p50', latency(p50)],
        ['p99', latency(p99)],
        ['waiting', count(pending)],
        ['store errors', count(storeErrors), storeErrors > 0 ? style.yellow : (text) => text],
        ...by,
      ],
      { columns, style },
    ),
  ]
  const tables = [limitTable(state, policies, { columns, style }), deniedTable(state, { columns, style })]
  for (const part of tables) {
    const room = rows - lines.length - 2
    if (part.length > 1 && room > 1) lines.push('', ...part.slice(0, room))
  }
  return [...lines, '']
}

/** Periods of a calendar are not all of one length. */
const spanOf = ({ windowMs, window }) =>
  window === undefined ? `in ${time(windowMs)}` : `a ${printable(window.calendar)} in ${printable(window.timeZone)}`

function limitTable({ limits, actions }, policies, { columns, style }) {
  const heads = [
    { title: 'LIMIT', gives: true },
    { title: 'ALLOWED', isNumber: true },
    { title: 'DENIED', isNumber: true },
    { title: 'ALLOWED/S', isNumber: true },
    { title: 'DENIED/S', isNumber: true, style: (text) => (/[1-9]/.test(text) ? style.red(text) : style.dim(text)) },
  ]
  const numbers = (name, action) => {
    const policy = policies.find((each) => each.name === name && each.action === action)
    return policy === undefined ? '' : `  ${count(policy.limit)} ${spanOf(policy)}`
  }
  const row = (label, { allowed, denied, allowedRate, deniedRate }) => [
    printable(label),
    count(allowed),
    count(denied),
    rate(allowedRate),
    rate(deniedRate),
  ]
  const rows = [
    ...limits.map((limit) => row(`${limit.name}${numbers(limit.name)}`, limit)),
    ...actions.map((action) => row(`@ ${action.name}${numbers('default', action.name)}`, action)),
  ]
  return table(heads, rows, { style, width: columns })
}

function deniedTable({ topDenied }, { columns, style }) {
  const heads = [
    { title: 'MOST DENIED', gives: true, style: style.cyan },
    { title: 'TIMES', isNumber: true },
  ]
  return table(
    heads,
    topDenied.map(({ key, denied }) => [printable(key), count(denied)]),
    { style, width: columns },
  )
}

const latency = (ms) => (typeof ms === 'number' ? `${count(ms, ms < 10 ? 2 : 0)} ms` : '–')

function applicationLine({ limiters, trouble, clock }) {
  if (trouble !== undefined) return `${clock} ${trouble}`
  const words = limiters.map(({ name, state }) => {
    const { allowedRate, deniedRate, store, circuit, p99 } = state
    const first = limiters.length > 1 ? `${printable(name)}: ` : ''
    return `${first}allowed ${rate(allowedRate)}, denied ${rate(deniedRate)}, p99 ${latency(p99)}, store ${store}, circuit ${circuit}`
  })
  return `${clock} ${words.join('; ')}`
}

module.exports = { applicationFrame, applicationLine }
