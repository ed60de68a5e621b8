/** The run of shared memory as a scenario, so that the targets can judge it as they judge the others. */

import { comparable } from './comparison.mjs'

const CONTESTANTS = {
  sliding: { id: 'ours-sliding-window', label: 'ours, sliding-window', role: 'ours' },
  bucket: { id: 'ours-token-bucket', label: 'ours, token-bucket', role: 'ours' },
  rlf: { id: 'rlf-cluster', label: 'rate-limiter-flexible, cluster', role: 'peer' },
}

/**
 * Each is told at its best: in a round, with as many calls in flight as serve it most.
 *
 * @param {{ samples: Record<string, number[]> }} results Calls a second of each round, by `contestant/in flight`.
 */
export function sharedScenario({ samples }) {
  const bestOf = (name) => {
    const [first, ...others] = Object.keys(samples).filter((key) => key.startsWith(`${name}/`))
    return samples[first].map((figure, round) => Math.max(figure, ...others.map((key) => samples[key][round])))
  }
  return comparable({
    scenario: { id: 'shared', title: 'Shared memory, 2 processes' },
    contestants: Object.entries(CONTESTANTS).map(([name, contestant]) => ({
      contestant,
      rounds: bestOf(name).map((callsPerSecond) => ({ callsPerSecond })),
    })),
  })
}
