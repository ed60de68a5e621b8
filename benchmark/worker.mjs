/** A process of one contestant in one scenario: it does what its parent asks, one thing after the other. */

import { findContestant } from './contestants/index.mjs'
import { findScenario, kindOf, settingsOf } from './scenarios/index.mjs'

// Whoever has no parent any more has nobody to measure for.
process.once('disconnect', () => process.exit(1))

const { scenarioId, contestantId, redisUrl, quick } = JSON.parse(process.argv[2])
const scenario = findScenario(scenarioId)
const kind = kindOf(scenario, findContestant(contestantId))
let subject

process.on('message', async ({ method, args }) => {
  const answer = await perform(method, args).then(
    (value) => ({ value }),
    (error) => ({ error: error?.message ?? String(error) }),
  )
  process.send(answer)
})

async function perform(method, args) {
  if (method !== 'open') return subject[method](...args)
  subject = await kind.open(contestantId, { ...settingsOf(scenario, { quick }), redisUrl })
}
