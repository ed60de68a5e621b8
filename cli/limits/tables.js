// Keys and limits as tables and as JSON, the same for every command that lists them.
'use strict'

const { shownLimit } = require('../session.js')
const { table } = require('../terminal/table.js')
const { count, printable, time } = require('../terminal/text.js')

const limitOf = ({ name, action }) => shownLimit({ name, action: action && printable(action) })
const keyOf = ({ owner, key }) => (owner === undefined ? printable(key) : `${printable(key)} of ${printable(owner)}`)

/** What each limit counts. */
function limitsTable(limits, { style, width }) {
  const columns = [
    { title: 'LIMIT', gives: true },
    { title: 'ALGORITHM' },
    { title: 'KEYS', isNumber: true },
    { title: 'USED', isNumber: true },
    { title: 'BLOCKED', isNumber: true, style: (text) => (Number(text) === 0 ? style.dim(text) : style.red(text)) },
  ]
  const rows = limits.map((limit) => [
    limitOf(limit),
    limit.algorithm,
    count(limit.keys),
    limit.isBucket ? '' : count(limit.used),
    count(limit.blocked),
  ])
  return table(columns, rows, { style, width })
}

/** Those that use most. */
function topTable(entries, { style, width }) {
  const columns = [
    { title: 'KEY', gives: true, style: style.cyan },
    { title: 'LIMIT' },
    { title: 'USED', isNumber: true, style: style.bold },
    { title: 'FULL AGAIN', isNumber: true },
  ]
  const rows = entries.map(({ name, used, fullInMs, expiresInMs }) => [
    keyOf(name),
    limitOf(name),
    used === undefined ? '' : count(used),
    fullAgain(fullInMs, expiresInMs),
  ])
  return table(columns, rows, { style, width })
}

/** When a key is as good as new: of a bucket that is known, of a window only by when Redis forgets it. */
function fullAgain(fullInMs, expiresInMs) {
  if (fullInMs !== undefined) return fullInMs === 0 ? 'it is' : `in ${time(fullInMs)}`
  return expiresInMs === undefined ? '' : `within ${time(expiresInMs)}`
}

function blockedTable(entries, { style, width }) {
  const columns = [
    { title: 'BLOCKED KEY', gives: true, style: style.red },
    { title: 'LIMIT' },
    { title: 'FOR', isNumber: true },
  ]
  const rows = entries.map(({ name, blockedForMs }) => [keyOf(name), limitOf(name), `${time(blockedForMs)} more`])
  return table(columns, rows, { style, width })
}

function entryJson({ name: { raw, name, action, algorithm, owner, key }, ...seen }) {
  return { key, owner, name, action, algorithm, redisKey: raw.toString(), ...seen }
}

module.exports = { blockedTable, entryJson, limitsTable, topTable }
