/**
 * Two builds of the limiter beside each other: what a change costs the calls that are decided in memory.
 *
 * Each has a process of its own, and they take turns in short slices, since a shared machine changes its speed within seconds. A round
 * divides what both did in it; the median over the rounds is told, and between which values the middle half of them lies. Where not even that
 * is steady, `--instructions` counts instead of timing.
 */

import { execFile, fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs, promisify } from 'node:util'
import { exitWith, root } from '../scripts/run.mjs'
import { hardware, machineLine } from './machine.mjs'
import { toText } from './report/table.mjs'
import { median, percentile } from './statistics.mjs'

const CHILD = fileURLToPath(new URL('./build-child.mjs', import.meta.url))
const SLICES = 8
const USAGE = `npm run bench -- --builds --before FOLDER [--rounds N] [--slice MS] [--only PATTERN] [--instructions]

  --before FOLDER  another build: its index.js, lib/, binding.js and .node
  --rounds N       rounds, each with ${SLICES} slices a build (default 15)
  --slice MS       how long a slice is (default 150)
  --only PATTERN   only kinds that match this regular expression
  --instructions   counts a call's instructions by callgrind, Node.js's own among them
`

/** What is called, over how many keys, under which limit. */
export const KINDS = {
  allowed: { keys: 10_000, limit: 2 ** 32 },
  'denied, one key': { keys: 1, limit: 1 },
  'denied, 10,000 keys': { keys: 10_000, limit: 1 },
}

class Build {
  constructor(folder, kind) {
    this.child = fork(CHILD, [folder, JSON.stringify(kind)])
  }

  async ready() {
    await once(this.child, 'message')
  }

  /** Nanoseconds a call in a slice. */
  async slice(ms) {
    this.child.send(ms)
    const [figure] = await once(this.child, 'message')
    return figure
  }

  end() {
    this.child.disconnect()
  }
}

async function compare(before, kind, { rounds, slice }) {
  const ratios = []
  const costs = { before: [], after: [] }
  for (let round = 0; round < rounds; round += 1) {
    const builds = { before: new Build(before, kind), after: new Build(root, kind) }
    try {
      await Promise.all(Object.values(builds).map((build) => build.ready()))
      const sums = { before: [], after: [] }
      for (let turn = 0; turn < SLICES; turn += 1) {
        const order = (round + turn) % 2 === 0 ? ['before', 'after'] : ['after', 'before']
        for (const name of order) sums[name].push(await builds[name].slice(slice))
      }
      // Of each pair of neighbours, so that a machine which changes its speed in between spoils one of them.
      ratios.push(median(sums.after.map((cost, turn) => cost / sums.before[turn])))
      for (const name of Object.keys(costs)) costs[name].push(median(sums[name]))
    } finally {
      Object.values(builds).forEach((build) => build.end())
    }
  }
  const sorted = ratios.sort((one, other) => one - other)
  return {
    before: median(costs.before),
    after: median(costs.after),
    ratio: median(sorted),
    half: [percentile(sorted, 0.25), percentile(sorted, 0.75)],
  }
}

/** Instructions of a call: what a long run has more of than a short one. */
async function count(folder, kind) {
  const scratch = mkdtempSync(join(tmpdir(), 'rate-limiter-builds-'))
  const run = async (calls) => {
    const out = join(scratch, `${calls}`)
    const args = ['--tool=callgrind', `--callgrind-out-file=${out}`, process.execPath, '--single-threaded', '--jitless']
    await promisify(execFile)('valgrind', [...args, CHILD, folder, JSON.stringify({ ...kind, calls })])
    return Number(/^(?:summary|totals): (\d+)/m.exec(readFileSync(out, 'utf8'))[1])
  }
  try {
    const [short, long] = [await run(50_000), await run(250_000)]
    return (long - short) / 200_000
  } finally {
    rmSync(scratch, { recursive: true, force: true })
  }
}

async function main() {
  const { values } = parseArgs({
    options: {
      before: { type: 'string' },
      rounds: { type: 'string', default: '15' },
      slice: { type: 'string', default: '150' },
      only: { type: 'string', default: '' },
      instructions: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  })
  if (values.help || values.before === undefined) return console.log(USAGE)
  const before = resolve(values.before)
  const kinds = Object.entries(KINDS).filter(([name]) => new RegExp(values.only, 'i').test(name))
  const rows = []
  for (const [name, kind] of kinds) {
    if (values.instructions) {
      const [then, now] = [await count(before, kind), await count(root, kind)]
      rows.push([name, then.toFixed(0), now.toFixed(0), (now / then).toFixed(4), ''])
    } else {
      const options = { rounds: Number(values.rounds), slice: Number(values.slice) }
      const { before: then, after: now, ratio, half } = await compare(before, kind, options)
      const range = half.map((ratio) => ratio.toFixed(3)).join(' to ')
      rows.push([name, then.toFixed(0), now.toFixed(0), ratio.toFixed(3), range])
    }
    console.log(rows.at(-1).join('  '))
  }
  const what = values.instructions ? 'instructions a call, without a JIT' : 'ns of CPU a call, awaited'
  const title = `A build and the one before it: ${what}`
  const note = machineLine(hardware())
  console.log(`\n${toText({ title, header: ['', 'before', 'after', 'ratio', 'middle half'], rows, note })}`)
}

await main().catch(exitWith)
