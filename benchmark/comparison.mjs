/** What a run says of its contestants: medians over the rounds, and how they compare with one another. */

import { median, mediansByField } from './statistics.mjs'

/** A scenario's outcome as it is written down: of each contestant all rounds, and the medians of those that succeeded. */
export function comparable({ scenario: { id, title, baseline }, contestants }) {
  return {
    id,
    title,
    ...(baseline && { baseline }),
    contestants: contestants.map(({ contestant: { id, label, role }, rounds }) => {
      const succeeded = rounds.filter(({ error }) => error === undefined)
      const failed = rounds.find(({ error }) => error !== undefined)
      return {
        id,
        label,
        role,
        ...(failed && { error: failed.error }),
        medians: succeeded.length > 0 ? mediansByField(succeeded) : null,
        rounds,
      }
    }),
  }
}

/**
 * One contestant's figure as a multiple of another's: the median over the rounds of the ratio **within** each. The two were
 * measured in turns there; a ratio of medians would divide what was measured in one minute by what was in another.
 * With `less`, what that contestant has is first taken from both.
 *
 * @returns {number | null} `null` where no round has both
 */
export function ratio(contestant, other, field, { less } = {}) {
  const figureIn = (round, { rounds }) => rounds[round]?.[field] - (less ? less.rounds[round]?.[field] : 0)
  const ratios = contestant.rounds
    .map((_, round) => figureIn(round, contestant) / figureIn(round, other))
    .filter((value) => Number.isFinite(value))
  return ratios.length > 0 ? median(ratios) : null
}

/**
 * The peer that no other beats in `field`, by the ratios within the rounds; `best` is `Math.max` or `Math.min`. Should they
 * beat one another in a circle, the one that is beaten by least. Not the one with the best median: which peer had the quick
 * minutes of the machine is chance.
 */
export function bestPeer(scenario, field, best) {
  const peers = scenario.contestants.filter(({ role, medians }) => role === 'peer' && medians?.[field] !== undefined)
  // How far ahead of another one a peer is, below 0 where it is behind; of no round that both have, nothing is known.
  const ahead = (peer, other) => Math.log(ratio(peer, other, field) ?? 1) * (best === Math.max ? 1 : -1)
  const worst = (peer) => Math.min(...peers.filter((other) => other !== peer).map((other) => ahead(peer, other)))
  const ranked = peers.map((peer) => ({ peer, worst: worst(peer) })).sort((a, b) => b.worst - a.worst)
  return ranked[0]?.peer
}

/** With whom a scenario's contestants are compared in `field`. */
export function referenceOf(scenario, field, best) {
  if (scenario.baseline === undefined) return bestPeer(scenario, field, best)
  return scenario.contestants.find(({ id, medians }) => id === scenario.baseline && medians)
}
