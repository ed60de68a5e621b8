// A frame of what is seen of a Redis, line by line, for a terminal of any size; and the same in one line for a log.
'use strict'

const { blockedTable, limitsTable, topTable } = require('../limits/tables.js')
const { between, facts, rate, withSparkline } = require('./parts.js')
const { bytes, count, counted, cut, printable } = require('../terminal/text.js')

/** Rows that a table takes beside its own. */
const HEAD = 2
/** Rows in which there is no room for two tables. */
const FEW = 9

/** What is known of Redis: `{ at, pulse, history, census, isWhole, part, trouble, clock }`. */
function storeFrame(known, { columns, rows, style }) {
  const { at, pulse, history, trouble, clock } = known
  const software = pulse === undefined ? '' : `  ${pulse.software} ${pulse.version}${masters(pulse)}`
  const lines = [
    between(`${at}${software}`, `${clock}  q leaves`, { columns, paint: style.bold, paintRight: style.dim }),
  ]
  lines.push(trouble === undefined ? '' : style.red(cut(trouble, columns)))
  if (pulse !== undefined) lines.push(...pulseLines(pulse, { history, columns, style }))
  lines.push('')
  lines.push(...keyLines(known, { columns, style, rows: rows - lines.length }))
  return lines
}

const masters = ({ masters: number }) => (number > 1 ? `, ${number} masters` : '')

function pulseLines(pulse, { history, columns, style }) {
  const { calls, micros, commands, memory, maxMemory, policy, evicted, evictedEver, instances, clients } = pulse
  const evicts = evictedEver > 0
  const bounded = maxMemory > 0 ? ` of ${bytes(maxMemory)}, ${policy}` : ''
  const calling = facts(
    [
      ['script calls', rate(calls), style.bold],
      ['each', micros === undefined ? '–' : `${count(micros, 1)} µs`],
      ['commands', rate(commands)],
    ],
    { columns, style },
  )
  calling[0] = withSparkline(calling[0], history, { columns, paint: style.green })
  const warn = (is) => (is ? style.red : (text) => text)
  return [
    ...calling,
    ...facts(
      [
        ['memory', `${bytes(memory)}${bounded}`],
        ['evicted', evicts ? `${count(evictedEver)}, ${rate(evicted)}` : '0', warn(evicts)],
        ['instances', instances === undefined ? '–' : count(instances)],
        ['connections', count(clients)],
      ],
      { columns, style },
    ),
  ]
}

/** Tables in what room there is: each limit if possible, then as many of the top and of the blocked keys as fit. */
function keyLines({ census, isWhole, part }, { columns, style, rows }) {
  const { keys, blockedKeys, foreignKeys, limits, top, blocked } = census
  const round = part === undefined ? '' : `, ${Math.floor(part * 100)} % of the keys`
  const state = isWhole ? '' : `  first round${round}`
  const title = style.bold(counted(keys, 'key')) + (blockedKeys > 0 ? style.red(`  ${count(blockedKeys)} blocked`) : '')
  const foreign = foreignKeys > 0 ? style.red(`  ${count(foreignKeys)} foreign`) : ''
  const lines = [`${title}${foreign}${style.dim(state)}`]
  if (keys === 0) return isWhole ? [...lines, style.dim('Nobody has used anything lately.')] : lines
  const room = rows - lines.length
  const own = { style, width: columns }
  const shownLimits = limits.slice(0, Math.max(1, Math.floor(room / 3) - HEAD))
  lines.push('', ...limitsTable(shownLimits, own))
  if (limits.length > shownLimits.length) {
    lines.push(style.dim(`and ${counted(limits.length - shownLimits.length, 'limit')} more`))
  }
  // Each table has an empty line and a head above it. Where there is hardly any room, it is for those that use most.
  const left = rows - lines.length
  const forBlocked = left < FEW && top.length > 0 ? 0 : Math.min(blocked.length, Math.floor(left / 3))
  const forTop = left - HEAD - (forBlocked > 0 ? forBlocked + HEAD : 0)
  if (top.length > 0 && forTop > 0) lines.push('', ...topTable(top.slice(0, forTop), own))
  if (forBlocked > 0) lines.push('', ...blockedTable(blocked.slice(0, forBlocked), own))
  return lines
}

/** The same for a log. */
function storeLine({ pulse, census, trouble, clock }) {
  if (trouble !== undefined) return `${clock} ${trouble}`
  const { calls, micros, memory, evictedEver, instances } = pulse
  const [first] = census.top
  const words = [
    ...(calls === undefined ? [] : [`script calls ${count(Math.round(calls))}/s`]),
    ...(micros === undefined ? [] : [`each ${count(micros, 1)} µs`]),
    `memory ${bytes(memory)}`,
    `evicted ${count(evictedEver)}`,
    ...(instances === undefined ? [] : [`instances ${count(instances)}`]),
    `keys ${count(census.keys)}`,
    `blocked ${count(census.blockedKeys)}`,
    ...(first?.used === undefined ? [] : [`most used ${printable(first.name.key)} (${count(first.used)})`]),
  ]
  return `${clock} ${words.join(', ')}`
}

module.exports = { storeFrame, storeLine }
