/** The order of the runs, and their figures. */

import { runInChild } from './child.mjs'
import { contestantsOf, SCENARIOS } from './scenarios/index.mjs'
import { mediansByField } from './statistics.mjs'

const CONTESTANT = new URL('./contestant.mjs', import.meta.url)

/** Every pair of a scenario and a contestant that `only` lets through, by scenario. */
export function planRuns(only) {
  return SCENARIOS.map((scenario) => ({
    scenario,
    contestants: contestantsOf(scenario).filter(({ id }) => only === null || only.test(`${scenario.id}/${id}`)),
  })).filter(({ contestants }) => contestants.length > 0)
}

/**
 * Runs the plan `rounds` times. All contestants of a scenario follow one another within each round, so a machine that slows
 * down meanwhile slows them alike, and each round begins with another one, so none always runs first.
 *
 * A run that fails is a round with an `error` and no figures; the others go on.
 */
export async function runRounds(plan, { rounds, quick, redisUrl, flush, progress, signal }) {
  const results = plan.map(({ scenario, contestants }) => ({
    scenario,
    contestants: contestants.map((contestant) => ({ contestant, rounds: [] })),
  }))
  for (let round = 0; round < rounds; round++) {
    for (const { scenario, contestants } of results) {
      for (const entry of rotate(contestants, round)) {
        const what = `round ${round + 1}, ${scenario.id}, ${entry.contestant.id}`
        progress.begin(what)
        await flush()
        const job = { scenarioId: scenario.id, contestantId: entry.contestant.id, redisUrl, quick }
        const outcome = await runInChild(CONTESTANT, job, { signal }).catch((error) => ({ error: error.message }))
        signal.throwIfAborted()
        entry.rounds.push(outcome)
        progress.end(what, outcome.error ?? outline(outcome))
      }
    }
  }
  return results.map(summarize)
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

function summarize({ scenario, contestants }) {
  return {
    id: scenario.id,
    title: scenario.title,
    contestants: contestants.map(({ contestant: { id, label, ours }, rounds }) => {
      const succeeded = rounds.filter(({ error }) => error === undefined)
      const failed = rounds.find(({ error }) => error !== undefined)
      return {
        id,
        label,
        ours,
        ...(failed && { error: failed.error }),
        medians: succeeded.length > 0 ? mediansByField(succeeded) : null,
        rounds,
      }
    }),
  }
}
