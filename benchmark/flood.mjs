/** What a flood of made-up keys does to a limiter in memory: its memory, its pace, honest keys, and keys that are limited. */

import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { parseArgs, promisify } from 'node:util'
import { exitWith } from '../scripts/run.mjs'
import { describeMachine, machineLine } from './machine.mjs'
import { writeResults } from './report/index.mjs'
import { toMarkdown, toText } from './report/table.mjs'
import { median } from './statistics.mjs'

const CHILD = fileURLToPath(new URL('./footprint/flood.mjs', import.meta.url))
const MIB = 2 ** 20
const BOUND_MIB = 64
const WHOLE = 10_000_000
const CRAFTED = 1_000_000
const NTH = { 1: 'once', 2: 'twice' }
const USAGE = `npm run bench -- --flood [--keys N] [--rounds N]

  --keys N    made-up keys (default 10,000,000; fewer write no results)
  --rounds N  alternating rounds (default 3)
`

const run = promisify(execFile)

/** A process of its own for each, one after the other. */
async function child(...args) {
  const { stdout } = await run(process.execPath, ['--expose-gc', CHILD, ...args.map(String)])
  return JSON.parse(stdout)
}

async function measure(keys, rounds) {
  const samples = { bounded: [], unbounded: [], throughput: [], sums: [], fnv: [] }
  for (let round = 1; round <= rounds; round += 1) {
    const [unbounded, bounded] = [await child('unbounded', keys), await child('bounded', keys)]
    samples.unbounded.push(unbounded)
    samples.bounded.push(bounded)
    samples.throughput.push(bounded.perSecond / unbounded.perSecond)
    samples.sums.push((await child('random-45', CRAFTED)).perSecond / (await child('sums', CRAFTED)).perSecond)
    samples.fnv.push((await child('random-125', CRAFTED)).perSecond / (await child('fnv', CRAFTED)).perSecond)
    console.log(
      `round ${round}: ${Math.round(bounded.perSecond)} calls/s, ${Math.round(unbounded.perSecond)} without a bound`,
    )
  }
  // Made-up keys a window, how often each comes, and how often an honest one does, of the five times that it may.
  const floods = [
    [keys, 1, 3],
    [keys, 1, 4],
    [keys / 4, 2, 3],
    [keys, 2, 3],
  ]
  const steady = []
  for (const flood of floods) steady.push(await child('steady', ...flood))
  return { ...samples, steady }
}

function tableOf({ keys, rounds, machine, samples }) {
  const grown = (of) => (median(of.map(({ grownBytes }) => grownBytes)) / MIB).toFixed(1)
  const share = (part, whole) => `${((100 * part) / whole).toFixed(2)} % of ${whole.toLocaleString('en')}`
  const { steady } = samples
  const sum = (field) => steady.reduce((total, one) => total + one[field], 0)
  const times = (of) => `${median(of).toFixed(2)} times`
  return {
    title: `A flood of ${keys.toLocaleString('en')} made-up keys, in memory, limit 5`,
    header: ['', 'measured', 'wanted'],
    rows: [
      ['resident memory without the JavaScript heap grows by, MiB', grown(samples.bounded), `${BOUND_MIB}, the bound`],
      ['the same without a bound, MiB', grown(samples.unbounded), ''],
      [
        'calls a second, of those without a bound',
        `${(100 * median(samples.throughput)).toFixed(0)} %`,
        '80 % or more',
      ],
      ...steady.map(({ keysAWindow, times, honestCalls, refused, honest }, index) => [
        `refused: of keys that come ${honestCalls} times among ${keysAWindow.toLocaleString('en')} that come ${NTH[times]}`,
        share(refused, honest),
        index === 0 ? '1 % or less' : '',
      ]),
      ['limited keys that have a unit more', share(sum('resets'), sum('looks')), 'none'],
      ['keys of one sum cost, of random ones', times(samples.sums), '2 or less'],
      ['keys of one FNV-1a cost, of random ones', times(samples.fnv), '2 or less'],
    ],
    note:
      `Keys among others: calls in the window in which those come, two windows long. ` +
      `Medians of ${rounds} rounds, a process each. ${machineLine(machine)}.`,
  }
}

async function main() {
  const { values } = parseArgs({
    options: {
      keys: { type: 'string', default: String(WHOLE) },
      rounds: { type: 'string', default: '3' },
      help: { type: 'boolean', default: false },
    },
  })
  if (values.help) return console.log(USAGE)
  const [keys, rounds] = [Number(values.keys), Number(values.rounds)]
  const samples = await measure(keys, rounds)
  const results = { date: new Date().toISOString(), keys, rounds, machine: await describeMachine(), samples }
  const table = tableOf(results)
  console.log(`\n${toText(table)}`)
  const isWhole = keys === WHOLE
  const written = writeResults('flood', { json: results, markdown: toMarkdown(table) }, { isWhole })
  console.log(`Written: ${written.join(', ')}`)
  if (samples.steady.some(({ resets }) => resets > 0)) throw new Error('a key that is limited was reset')
}

await main().catch(exitWith)
