/** Processes of one machine that share a limit: ours in shared memory, beside rate-limiter-flexible's messages to the primary. */

import { execFile } from 'node:child_process'
import { rmSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { parseArgs, promisify } from 'node:util'
import { exitWith } from '../scripts/run.mjs'
import { describeMachine, machineLine, versionsLine } from './machine.mjs'
import { writeResults } from './report/index.mjs'
import { toMarkdown, toText } from './report/table.mjs'
import { median } from './statistics.mjs'

const CLUSTER = fileURLToPath(new URL('./cluster.mjs', import.meta.url))
const WORKERS = 2
const TARGET = 100
const IN_FLIGHT = [1, 256]
const USAGE = `npm run bench -- --shared [--rounds N] [--quick]

  --rounds N  alternating rounds (default 5)
  --quick     one short round: shows that it runs, its figures are not to be quoted
`

const CONTESTANTS = [
  {
    id: 'sliding',
    label: 'ours, sliding-window',
    contestant: 'ours-shared',
    algorithm: 'sliding-window',
    calls: 1_000_000,
  },
  { id: 'bucket', label: 'ours, token-bucket', contestant: 'ours-shared', algorithm: 'token-bucket', calls: 1_000_000 },
  { id: 'rlf', label: 'rate-limiter-flexible, cluster', contestant: 'rlf-cluster', calls: 50_000 },
]

const execute = promisify(execFile)

/** One contestant in a cluster of its own. */
async function measure({ contestant, algorithm, calls }, inFlight, quick) {
  const name = `bench-${process.pid}`
  const limits = { limit: 100_000, windowMs: 3_600_000 }
  const job = { contestant, algorithm, name, workers: WORKERS, inFlight, calls: quick ? calls / 20 : calls, ...limits }
  try {
    const { stdout } = await execute(process.execPath, [CLUSTER, JSON.stringify(job)])
    return JSON.parse(stdout).callsPerSecond
  } finally {
    rmSync(`/dev/shm/distributed-rate-limiter-${process.geteuid()}/${name}`, { force: true })
  }
}

function tableOf(results) {
  const figure = (id, inFlight) => median(results.samples[`${id}/${inFlight}`])
  const cell = (id, inFlight) => {
    const times = figure(id, inFlight) / figure('rlf', inFlight)
    return `${Math.round(figure(id, inFlight)).toLocaleString('en')} (${times.toFixed(times < 10 ? 2 : 0)}×)`
  }
  // Whoever sends messages is at its best with many of them under way.
  const best = Math.max(...IN_FLIGHT.map((inFlight) => figure('rlf', inFlight)))
  const ratios = ['sliding', 'bucket'].map(
    (id) => Math.max(...IN_FLIGHT.map((inFlight) => figure(id, inFlight))) / best,
  )
  return {
    title: `${WORKERS} processes that share limits, calls/s of both together`,
    header: ['', ...IN_FLIGHT.map((inFlight) => `${inFlight} in flight in each`)],
    rows: CONTESTANTS.map(({ id, label }) => [label, ...IN_FLIGHT.map((inFlight) => cell(id, inFlight))]),
    note:
      `The best figure of ours is ${ratios.map((ratio) => ratio.toFixed(0)).join(' and ')} times the best of theirs; ` +
      `wanted are ${TARGET}. Medians of ${results.rounds} alternating rounds. ${machineLine(results.machine)}. ` +
      `${versionsLine(results.machine)}.`,
  }
}

async function main() {
  const { values } = parseArgs({
    options: {
      rounds: { type: 'string' },
      quick: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  })
  if (values.help) return console.log(USAGE)
  const rounds = values.rounds === undefined ? (values.quick ? 1 : 5) : Number(values.rounds)
  const samples = {}
  for (let round = 0; round < rounds; round += 1) {
    for (const inFlight of IN_FLIGHT) {
      // Each round begins with another one.
      for (let turn = 0; turn < CONTESTANTS.length; turn += 1) {
        const contestant = CONTESTANTS[(round + turn) % CONTESTANTS.length]
        const figure = await measure(contestant, inFlight, values.quick)
        ;(samples[`${contestant.id}/${inFlight}`] ??= []).push(figure)
        console.log(`round ${round + 1}, ${inFlight} in flight, ${contestant.label}: ${Math.round(figure)} calls/s`)
      }
    }
  }
  const results = { date: new Date().toISOString(), rounds, machine: await describeMachine(), samples }
  const table = tableOf(results)
  console.log(`\n${toText(table)}`)
  const isWhole = !values.quick && rounds >= 5
  const written = writeResults('shared', { json: results, markdown: toMarkdown(table) }, { isWhole })
  console.log(`Written: ${written.join(', ')}`)
}

await main().catch(exitWith)
