/** The comparison: ours beside its peers, in one run on one machine. */

import { startRedis } from '../scripts/redis.mjs'
import { redisCommand } from '../scripts/resp.mjs'
import { exitWith } from '../scripts/run.mjs'
import { measureBytes, planBytes } from './bytes.mjs'
import { describeMachine } from './machine.mjs'
import { readOptions, USAGE } from './options.mjs'
import { showProgress } from './progress.mjs'
import { reportMarkdown, reportText, writeResults } from './report/index.mjs'
import { separateScenarios } from './results.mjs'
import { planRuns, runRounds } from './rounds.mjs'
import { interruption } from './signals.mjs'
import { judgeTargets } from './targets.mjs'

async function main() {
  const { rounds, quick, only, help } = readOptions(process.argv.slice(2))
  if (help) return console.log(USAGE)
  const plan = { runs: planRuns(only), bytes: planBytes(only) }
  if (plan.runs.length + plan.bytes.length === 0)
    throw new Error(`--only ${only.source} matches no "scenario/contestant"`)

  const results = await measure(plan, { rounds, quick })
  console.log(`\n${reportText(results)}`)
  const isWhole = !quick && only === null && rounds >= 5
  const written = writeResults('latest', { json: results, markdown: reportMarkdown(results) }, { isWhole })
  console.log(`Written: ${written.join(', ')}`)

  const all = [...results.scenarios.flatMap(({ contestants }) => contestants), ...results.bytes]
  const failed = all.filter(({ error }) => error !== undefined)
  if (failed.length > 0) throw new Error(`${failed.length} contestants failed in at least one round, see the tables`)
}

async function measure({ runs, bytes: planned }, { rounds, quick }) {
  const signal = interruption()
  const redis = await startRedis()
  const groups = runs.reduce((sum, { contestants }) => sum + contestants.length, 0)
  const progress = showProgress(rounds * groups + planned.length)
  try {
    const flush = () => redisCommand(redis.port, 'FLUSHALL')
    const how = { rounds, quick, redis, flush, progress, signal }
    const scenarios = await runRounds(runs, how)
    const bytes = planned.length > 0 ? await measureBytes(planned, how) : []
    const machine = await describeMachine(redis.port)
    const targets = judgeTargets({ scenarios: [...scenarios, ...separateScenarios()], bytes })
    return { date: new Date().toISOString(), rounds, quick, machine, scenarios, bytes, targets }
  } finally {
    progress.stop()
    await redis.stop()
  }
}

await main().catch(exitWith)
