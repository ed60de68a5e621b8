/** The order of what is measured, and its figures. */

import { comparable } from './comparison.mjs'
import { findContestant } from './contestants/index.mjs'
import { startGroup } from './group.mjs'
import { redisCpuUs } from './redis-cpu.mjs'
import { kindOf, SCENARIOS, settingsOf } from './scenarios/index.mjs'

// In a short run it is enough to see that several of them work together.
const QUICK_PROCESSES = 2

/** Every pair of a scenario and a contestant that `only` lets through, by scenario. */
export function planRuns(only) {
  return SCENARIOS.map((scenario) => ({
    scenario,
    contestants: scenario.contestants
      .filter((id) => only === null || only.test(`${scenario.id}/${id}`))
      .map(findContestant),
  })).filter(({ contestants }) => contestants.length > 0)
}

/**
 * Runs the plan `rounds` times. In a round of a scenario every contestant has processes of its own, all of which are made
 * ready first; then all take turns, a short slice each, so that a machine that slows down slows them alike. Each turn begins
 * with another one, so none always runs first.
 *
 * A contestant that fails has a round with an `error` and no figures; the others go on.
 */
export async function runRounds(plan, { rounds, quick, redis, flush, progress, signal }) {
  const results = plan.map(({ scenario, contestants }) => ({
    scenario,
    contestants: contestants.map((contestant) => ({ contestant, rounds: [] })),
  }))
  for (let round = 1; round <= rounds; round++) {
    for (const { scenario, contestants } of results) {
      await flush()
      const run = { scenario, settings: settingsOf(scenario, { quick }), quick, redis, signal }
      progress.begin(`round ${round}, ${scenario.id}`)
      const outcomes = await runRound(
        contestants.map(({ contestant }) => contestant),
        run,
      )
      for (const [index, { contestant, rounds }] of contestants.entries()) {
        rounds.push(outcomes[index])
        const told = outcomes[index].error ?? outline(outcomes[index])
        progress.end(`round ${round}, ${scenario.id}, ${contestant.id}`, told)
      }
    }
  }
  return results.map(comparable)
}

/** One round of one scenario: for each contestant its figures, or an `error`. */
async function runRound(contestants, run) {
  const entries = contestants.map((contestant, index) => enter(contestant, index, run))
  const stop = () => entries.forEach(({ group }) => group.stop())
  run.signal.addEventListener('abort', stop)
  try {
    await Promise.all(entries.map((entry) => attempt(entry, () => entry.group.ask('open'))))
    // One after the other: Redis is one, and who is warmed up beside many would have learned what it is to wait.
    if (run.settings.warmUpMs > 0) for (const entry of entries) await attempt(entry, () => entry.warmUp())
    for (let turn = 0; turn < run.settings.slices; turn++) {
      for (const entry of rotate(entries, turn)) await attempt(entry, () => entry.measure())
    }
    await Promise.all(entries.map((entry) => attempt(entry, () => entry.group.ask('close'))))
    run.signal.throwIfAborted()
    for (const entry of entries) await attempt(entry, () => (entry.figures = entry.kind.figures(entry.slices)))
    return entries.map(({ figures, error }) => figures ?? { error })
  } finally {
    run.signal.removeEventListener('abort', stop)
    stop()
  }
}

function enter(contestant, index, { scenario, settings, quick, redis }) {
  const kind = kindOf(scenario, contestant)
  // Each has a database of its own, since some would take another's keys for theirs.
  const redisUrl = scenario.onRedis && `${redis.url}/${index}`
  const processes = scenario.processes === undefined ? 1 : quick ? QUICK_PROCESSES : scenario.processes
  const job = { scenarioId: scenario.id, contestantId: contestant.id, redisUrl, quick }
  const group = startGroup(job, processes)
  const slices = []
  const conduct = (durationMs) =>
    kind.conduct ? kind.conduct(group, settings, durationMs) : group.ask('slice', durationMs)

  return {
    kind,
    group,
    slices,
    warmUp: () => (kind.conduct ? conduct(settings.warmUpMs) : group.ask('warmUp')),
    async measure() {
      const before = await redisCpuUs(redis.port)
      const samples = await conduct(settings.sliceMs)
      const redisUs = (await redisCpuUs(redis.port)) - before
      slices.push({ samples, redisUs, ...(await kind.check?.(group, settings)) })
    },
  }
}

/** Does the next thing with a contestant that has not failed yet. */
async function attempt(entry, step) {
  if (entry.error !== undefined) return
  try {
    await step()
  } catch (error) {
    entry.error = error.message
    entry.group.stop()
  }
}

function rotate(list, by) {
  const first = by % list.length
  return [...list.slice(first), ...list.slice(0, first)]
}

function outline(figures) {
  return Object.entries(figures)
    .map(([field, value]) => `${field} ${Number(value.toFixed(value < 100 ? 2 : 0))}`)
    .join(', ')
}
