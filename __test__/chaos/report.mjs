/** What a run of the table measured, in a line and as the document that operators read. */

import { spawnSync } from 'node:child_process'
import { cpus } from 'node:os'

const NONE = '–'
/** Of the limiters of most rows. */
const TIMEOUT_MS = 100
const ms = (value) => (value === undefined ? NONE : value < 1 ? '< 1 ms' : `${Math.round(value)} ms`)

/** What is promised of time where the fallback decides, in milliseconds. Held against where nothing else runs: `npm run chaos`. */
const MOST = { p99Ms: TIMEOUT_MS + 10, knowingMs: 1 }

/** The figures that are above what is promised, in words. */
export function tooLate(result, { returnsWithinMs }) {
  // Rows in which Redis decides all the while, or that are played otherwise, have figures of their own.
  if (result.knowingMs === undefined) return []
  const most = { ...MOST, returnMs: returnsWithinMs }
  return Object.entries(most)
    .filter(([figure, limit]) => result[figure] > limit)
    .map(([figure, limit]) => `TOO LATE: ${figure} is ${result[figure].toFixed(1)}, and should be at most ${limit}`)
}

/** A row's figures, or why it does not hold. */
export function lineOf({ error, unsettled, unhandled, over, lost, p99Ms, slowestMs, knowingMs, returnMs, note }) {
  if (error) return error.stack
  const figures = [
    `unsettled ${unsettled}`,
    `unhandled ${unhandled.length}`,
    `over-admitted ${over}`,
    `during the fault p99 ${ms(p99Ms)}, slowest ${ms(slowestMs)}, p99 while it is known ${ms(knowingMs)}`,
    `return ${ms(returnMs)}`,
  ]
  if (lost !== undefined) figures.push(`${lost} units lost with replies or told on return`)
  if (note) figures.push(note)
  return figures.join(', ')
}

/** `docs/faults.md`. Results are found by their topology's and their row's name. */
export function documentOf(kinds, topologies, results, { short = false } = {}) {
  const parts = [opening(short)]
  for (const topology of topologies) {
    for (const { title, rows } of kinds) {
      const here = rows.map((row) => ({ ...row, result: results.get(`${topology.name}: ${row.name}`) }))
      const played = here.filter(({ result }) => result)
      if (played.length === 0) continue
      parts.push(`## ${title}${topologies.length > 1 ? `, ${topology.name}` : ''}`, tableOf(played))
    }
  }
  return `${parts.join('\n\n')}\n`
}

function tableOf(rows) {
  const head = [
    'fault',
    'what happens',
    'what callers see',
    'what to do',
    'p99',
    'slowest',
    'known',
    'return',
    'unsettled',
    'unhandled',
    'over',
  ]
  const lines = [head, head.map(() => '---')]
  for (const { name, says, result } of rows) {
    const { unsettled, unhandled, over, p99Ms, slowestMs, knowingMs, returnMs, note } = result
    const happens = note ? `${says.happens} Measured: ${note}.` : says.happens
    const figures = [ms(p99Ms), ms(slowestMs), ms(knowingMs), ms(returnMs), unsettled, unhandled.length, over]
    lines.push([name, happens, says.callers, says.operator, ...figures])
  }
  return lines.map((cells) => `| ${cells.join(' | ')} |`).join('\n')
}

function opening(short) {
  const redis = spawnSync(process.env.REDIS_SERVER ?? 'redis-server', ['--version'], { encoding: 'utf8' }).stdout
  const version = /v=(\S+)/.exec(redis ?? '')?.[1] ?? '?'
  const [{ model }] = cpus()
  const machine = `${cpus().length} × ${model.trim()}, Node.js ${process.version.slice(1)}, Redis ${version}`
  const how = short ? 'in its short form (`npm run chaos -- --short`)' : '(`npm run chaos`)'
  return `# Faults

What happens when something fails, what callers see of it, and what an operator does. Every row is a test that breaks
real servers and processes under load: \`npm test\` plays each briefly, \`npm run chaos\` measures them and writes this
page.

Whoever uses the default sees \`source: "fallback"\` while Redis is away: this process decides by the limit's
\`fallback\`. With \`onStoreError: 'allow'\` or \`'deny'\` they are told so, and with \`'throw'\` they get an
[error with a code](errors.md). That is decided by the option alone, whatever the fault is.

## The figures

- **p99**: 99 of 100 calls that were made during the fault were answered within this. Most are answered at once, by an open
  circuit. **slowest**: the one that waited longest. \`timeout\` is 100 ms, and more in rows in which Redis decides all
  the while.
- **known**: 99 of 100 calls that were made while the limiter knew that Redis was away were answered within this.
- **return**: from the end of the fault to the first call that Redis decides.
- **unsettled**: promises that were still pending at the end. **unhandled**: rejections and errors that nobody caught.
- **over**: units that were admitted above a limit, by Redis or by the fallback, against a model that counts every
  decision. Where nothing was lost, the counts in Redis were also read afterwards: every admission is among them, and
  beyond those at most one unit for each call whose reply was lost, or which Redis was told of when it was back.

Measured on ${new Date().toISOString().slice(0, 10)}, ${machine}, all on one machine ${how}. The milliseconds are this
machine's; the zeros are the promise.`
}
