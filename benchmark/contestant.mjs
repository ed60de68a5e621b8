/** The child process of one run: one contestant in one scenario, measured once. */

import { answer } from './child.mjs'
import { findScenario, settingsOf } from './scenarios/index.mjs'

await answer(async ({ scenarioId, contestantId, redisUrl, quick }) => {
  const scenario = findScenario(scenarioId)
  return scenario.measure(contestantId, settingsOf(scenario, { quick }), redisUrl)
})
