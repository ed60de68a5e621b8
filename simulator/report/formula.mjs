/** How many nodes of Redis calls need. */

/** How busy a node is to be: what is left is for bursts, and for a node that fails. */
export const HEADROOM = 0.6

/** Operations a second, and of what they cost each, as many cores as that keeps busy to `HEADROOM`. */
export const nodesFor = (rate, { redisNsADecision }) => (rate * redisNsADecision) / 1e9 / HEADROOM

/** The same in whole nodes. */
export const wholeNodes = (rate, report) => Math.max(1, Math.ceil(nodesFor(rate, report)))
