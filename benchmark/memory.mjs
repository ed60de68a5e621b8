/** Memory: what a key costs, and whether calls leave anything behind. Each measurement in a process of its own. */

import { startRedis } from '../scripts/redis.mjs'
import { redisCommand } from '../scripts/resp.mjs'
import { exitWith } from '../scripts/run.mjs'
import { runInChild } from './child.mjs'
import { MEASUREMENTS } from './footprint/index.mjs'
import { describeMachine, machineLine } from './machine.mjs'
import { readOptions, USAGE } from './options.mjs'
import { showProgress } from './progress.mjs'
import { writeResults } from './report/index.mjs'
import { memoryTables } from './report/memory-tables.mjs'
import { toMarkdown, toText } from './report/table.mjs'
import { interruption } from './signals.mjs'

const CHILD = new URL('./footprint/child.mjs', import.meta.url)
const TIMEOUT_MS = 600_000

async function main() {
  const { quick, only, help } = readOptions(process.argv.slice(2))
  if (help) return console.log(USAGE)
  const chosen = MEASUREMENTS.filter(({ id }) => only === null || only.test(id))
  if (chosen.length === 0) throw new Error(`--only ${only.source} matches no measurement`)

  const results = await measure(chosen, { quick })
  const tables = memoryTables(results.measurements)
  console.log(`\n${machineLine(results.machine)}\n\n${tables.map(toText).join('\n')}`)
  const markdown = [`Measured on ${machineLine(results.machine)}.`, '', ...tables.map(toMarkdown)].join('\n')
  const written = writeResults('memory', { json: results, markdown }, { isWhole: !quick && only === null })
  console.log(`Written: ${written.join(', ')}`)

  const failed = results.measurements.filter(({ error }) => error !== undefined)
  if (failed.length > 0) throw new Error(failed.map(({ id, error }) => `${id} failed: ${error}`).join('\n'))
}

async function measure(chosen, { quick }) {
  const signal = interruption()
  const redis = await startRedis()
  const progress = showProgress(chosen.length)
  const measurements = []
  try {
    for (const { id, title, target } of chosen) {
      progress.begin(id)
      await redisCommand(redis.port, 'FLUSHALL')
      const options = { execArgv: ['--expose-gc'], timeoutMs: TIMEOUT_MS, signal }
      const job = { id, quick, redisUrl: redis.url }
      const outcome = await runInChild(CHILD, job, options).then(
        (figures) => ({ figures, ...(target && { target: judge(target, figures) }) }),
        (error) => ({ error: error.message }),
      )
      signal.throwIfAborted()
      measurements.push({ id, title, ...outcome })
      progress.end(id, outcome.error ?? 'done')
    }
    return { date: new Date().toISOString(), quick, machine: await describeMachine(redis.port), measurements }
  } finally {
    progress.stop()
    await redis.stop()
  }
}

function judge({ field, atMost }, figures) {
  return { atMost, kept: figures[field] <= atMost }
}

await main().catch(exitWith)
