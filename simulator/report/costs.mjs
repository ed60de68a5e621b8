/** What a decision costs a core of Redis, by the committed figures of the bench. */

import { readFileSync } from 'node:fs'

const results = (name) => JSON.parse(readFileSync(new URL(`../../benchmark/results/${name}`, import.meta.url), 'utf8'))

/** Keys of a call of the script in what redis-benchmark was measured with, which is also the larger batch of the instructions. */
const MANY = 50

/**
 * The time of a call of the script, and of each key in it. How the two divide say the counted instructions of Redis with one
 * key a call and with fifty; how fast the machine executes them says what redis-benchmark reached with fifty.
 */
export function costs(algorithm) {
  const { counted } = results('instructions.json').medians.find(({ name }) => name === algorithm)
  const { contestants } = results('latest.json').scenarios.find(({ id }) => id === 'redis-256')
  const { callsPerSecond: decisionsPerSecond } = contestants.find(({ id }) => id === `raw-${algorithm}`).medians
  const call = ((counted[1] - counted[MANY]) * MANY) / (MANY - 1)
  const ns = 1e9 / (decisionsPerSecond * counted[MANY])
  return { callNs: Math.round(call * ns), keyNs: Math.round((counted[1] - call) * ns) }
}
