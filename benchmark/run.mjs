/** The comparison: ours beside its peers, in one run on one machine. */

import { startRedis } from '../scripts/redis.mjs'
import { redisCommand } from '../scripts/resp.mjs'
import { exitWith } from '../scripts/run.mjs'
import { describeMachine } from './machine.mjs'
import { readOptions, USAGE } from './options.mjs'
import { showProgress } from './progress.mjs'
import { reportMarkdown, reportText, writeResults } from './report/index.mjs'
import { planRuns, runRounds } from './rounds.mjs'
import { interruption } from './signals.mjs'
import { judgeTargets } from './targets.mjs'

async function main() {
  const { rounds, quick, only, help } = readOptions(process.argv.slice(2))
  if (help) return console.log(USAGE)
  const plan = planRuns(only)
  if (plan.length === 0) throw new Error(`--only ${only.source} matches no "scenario/contestant"`)

  const results = await measure(plan, { rounds, quick })
  console.log(`\n${reportText(results)}`)
  const isWhole = !quick && only === null && rounds >= 5
  const written = writeResults('latest', { json: results, markdown: reportMarkdown(results) }, { isWhole })
  console.log(`Written: ${written.join(', ')}`)

  const failed = results.scenarios.flatMap(({ contestants }) => contestants).filter(({ error }) => error !== undefined)
  if (failed.length > 0) throw new Error(`${failed.length} contestants failed in at least one round, see the tables`)
}

async function measure(plan, { rounds, quick }) {
  const signal = interruption()
  const redis = await startRedis()
  const runs = plan.reduce((sum, { contestants }) => sum + contestants.length, 0)
  const progress = showProgress(rounds * runs)
  try {
    const flush = () => redisCommand(redis.port, 'FLUSHALL')
    const scenarios = await runRounds(plan, { rounds, quick, redisUrl: redis.url, flush, progress, signal })
    const machine = await describeMachine(redis.port)
    return { date: new Date().toISOString(), rounds, quick, machine, scenarios, targets: judgeTargets(scenarios) }
  } finally {
    progress.stop()
    await redis.stop()
  }
}

await main().catch(exitWith)
