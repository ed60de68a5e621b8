/**
 * `npm run simulate`: simulates fleets, compares one of them with real processes, and writes docs/scale.md's tables and plots.
 * `--long`: more calls, and more limits. `--only scale,latency,use,real` runs these parts and
 * takes the others from the last report.
 */

import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import { join } from 'node:path'
import { format } from 'prettier'

import { costs } from '../simulator/report/costs.mjs'
import { plots } from '../simulator/report/plots.mjs'
import { ALGORITHMS, latencyPoints, scalePoints, usePoints } from '../simulator/report/points.mjs'
import { compare } from '../simulator/report/real.mjs'
import { build, simulateAll } from '../simulator/report/run.mjs'
import { tables } from '../simulator/report/tables.mjs'
import { underUse } from '../simulator/report/use.mjs'
import { ensureBuilt } from './build.mjs'
import { exitWith, root } from './run.mjs'

const long = process.argv.includes('--long')
const PARTS = ['scale', 'latency', 'use', 'real']
const results = join(root, 'benchmark', 'results', 'simulation.json')
const document = join(root, 'docs', 'scale.md')
const folder = join(root, 'docs', 'scale')

/** The parts that are asked for: all where none is. */
function wanted() {
  const index = process.argv.indexOf('--only')
  if (index < 0) return PARTS
  const parts = (process.argv[index + 1] ?? '').split(',')
  const unknown = parts.filter((part) => !PARTS.includes(part))
  if (unknown.length > 0) throw new Error(`--only takes ${PARTS.join(', ')}, but ${unknown} was given`)
  return parts
}

/** What went over a limit, or over a bound that is stated, each in a sentence. */
function failures({ scale, latency, use, real }) {
  const all = [...scale, ...latency].filter(({ report }) => report.over > 0)
  return [
    ...all.map(({ world, report }) => `${report.over} units over the limit: ${JSON.stringify(world)}`),
    ...use
      .filter(({ over }) => over > 0)
      .map((row) => `${row.over} units over the limit: ${row.algorithm}, ${row.words}`),
    ...use
      .filter(({ beyond, bound }) => beyond > bound)
      .map((row) => `${row.algorithm}, ${row.limit}, ${row.words}: ${(100 * row.beyond).toFixed(2)} % beyond`),
    ...real.filter(({ simulated }) => simulated.over > 0).map(({ mode }) => `units over the limit: ${mode}`),
    ...real.filter(differs).map((row) => `real processes are not as simulated: ${JSON.stringify(row)}`),
  ]
}

/** Where the real processes ran. */
function machine() {
  const cpus = os.cpus()
  const gib = Math.round(os.totalmem() / 2 ** 30)
  return `${cpus[0]?.model.trim() || 'unknown'}, ${cpus.length} cores, ${gib} GiB, ${os.type()} ${os.release()} ${os.arch()}; Node.js ${process.version}`
}

/** Whether real processes were admitted another number of calls than simulated ones, or asked Redis for more or less. */
function differs({ real, simulated }) {
  const isFar = (name, part) => Math.abs(real[name] / simulated[name] - 1) > part
  return isFar('admitted', 0.03) || isFar('operationsADecision', 0.1)
}

async function simulate() {
  const parts = wanted()
  const report = existsSync(results) ? JSON.parse(readFileSync(results, 'utf8')) : {}
  const file = await build()
  const atOnce = Math.max(1, os.availableParallelism())
  const play = async (name, points) => {
    const worlds = points.map(({ world }) => world)
    const played = await simulateAll(file, worlds, atOnce, () => process.stdout.write('.'))
    console.log(` ${name}`)
    return points.map((point, index) => ({ ...point, report: played[index].report }))
  }
  // Each part is kept as soon as it is there.
  const keep = () => writeFileSync(results, `${JSON.stringify(report, null, 1)}\n`)
  if (parts.includes('use')) report.use = underUse(await play('under-use', usePoints(long)))
  keep()
  if (parts.includes('latency')) report.latency = await play('latency', latencyPoints(long))
  keep()
  if (parts.includes('scale')) report.scale = await play('scale', scalePoints(long))
  keep()
  if (parts.includes('real')) {
    await ensureBuilt()
    report.real = await compare(file, ALGORITHMS, ({ algorithm, mode }) =>
      console.log(`real processes: ${algorithm}, ${mode}`),
    )
    report.machine = machine()
    keep()
  }
  report.costs = Object.fromEntries(ALGORITHMS.map((algorithm) => [algorithm, costs(algorithm)]))
  const missing = PARTS.filter((part) => report[part] === undefined)
  if (missing.length > 0) throw new Error(`nothing is known of ${missing.join(', ')} yet: run without --only`)
  await write(report)
  const wrong = failures(report)
  if (wrong.length > 0) throw new Error(wrong.join('\n'))
}

async function write(report) {
  writeFileSync(results, `${JSON.stringify(report, null, 1)}\n`)
  mkdirSync(folder, { recursive: true })
  for (const [name, svg] of Object.entries(plots(report))) writeFileSync(join(folder, name), svg)
  let text = readFileSync(document, 'utf8')
  const all = { ...tables(report), machine: `Real processes: ${report.machine}.` }
  for (const [marker, content] of Object.entries(all)) text = quote(text, marker, content)
  writeFileSync(document, await format(text, { parser: 'markdown', semi: false, singleQuote: true, printWidth: 120 }))
}

function quote(text, marker, content) {
  const [begin, end] = [`<!-- ${marker}:begin -->`, `<!-- ${marker}:end -->`]
  const [before, rest] = text.split(begin)
  const after = rest?.split(end)[1]
  if (after === undefined) throw new Error(`docs/scale.md has no ${begin} … ${end}`)
  return `${before}${begin}\n\n${content}\n\n${end}${after}`
}

await simulate().catch(exitWith)
