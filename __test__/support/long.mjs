/** Says whether the longer run of the same tests was asked for, and how long anything may then take. */

export const isLong = process.env.RATE_LIMIT_LONG === '1'

/** A bound for a suite: ten times as much in the longer run. */
export const atMost = (ms) => (isLong ? 10 * ms : ms)
