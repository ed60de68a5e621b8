// The metrics of a limiter, each said once: what Prometheus and OpenTelemetry are told is read from this table.
'use strict'

const MS_PER_S = 1_000

const outcomes = ({ allowed, denied }, labels) => [
  [{ ...labels, outcome: 'allowed' }, allowed],
  [{ ...labels, outcome: 'denied' }, denied],
]

const verdicts = ({ agreed, wouldDeny, wouldAllow }, labels) => [
  [{ ...labels, verdict: 'agreed' }, agreed],
  [{ ...labels, verdict: 'would-deny' }, wouldDeny],
  [{ ...labels, verdict: 'would-allow' }, wouldAllow],
]

/** Every state that there is, 1 at the one that is now. */
const oneOf = (states, now) => states.map((state) => [{ state }, Number(state === now)])

const one = (value) => [[{}, value]]

/** A histogram of milliseconds as one of seconds. */
const inSeconds = ({ bounds, counts, sum, count }) => ({
  bounds: bounds.map((bound) => bound / MS_PER_S),
  counts,
  sum: sum / MS_PER_S,
  count,
})

/**
 * Each with its name in parts, its kind, the unit of its values, the labels beside `limiter`, and how its values are read from
 * `stats()` and the number of keys that may be told: pairs of labels and a value, or for a histogram the histogram itself. `merge` is what several processes' values
 * become together, where that is not their sum.
 */
const METRICS = [
  {
    name: 'decisions',
    kind: 'counter',
    labels: ['outcome'],
    help: 'Decisions, by what they said.',
    read: (stats) => outcomes(stats),
  },
  {
    name: 'source.decisions',
    kind: 'counter',
    labels: ['source'],
    help: 'Decisions, by who made them.',
    read: ({ sources }) => Object.entries(sources).map(([source, count]) => [{ source }, count]),
  },
  {
    name: 'limit.decisions',
    kind: 'counter',
    labels: ['limit', 'outcome'],
    help: 'Decisions, by the limit that decided.',
    read: ({ limits }) => Object.entries(limits).flatMap(([limit, counts]) => outcomes(counts, { limit })),
  },
  {
    name: 'action.decisions',
    kind: 'counter',
    labels: ['action', 'outcome'],
    help: 'Decisions, by the action that the call named; those without a limit of their own together as other.',
    read: ({ actions }) => Object.entries(actions).flatMap(([action, counts]) => outcomes(counts, { action })),
  },
  {
    name: 'shadow.decisions',
    kind: 'counter',
    labels: ['limit', 'verdict'],
    help: 'Decisions, by each limit that is tried and what it would have changed.',
    read: ({ shadow }) => Object.entries(shadow).flatMap(([limit, counts]) => verdicts(counts, { limit })),
  },
  {
    name: 'store.errors',
    kind: 'counter',
    help: 'Calls that the store did not decide: late, failed, or more than may wait.',
    read: ({ storeErrors }) => one(storeErrors),
  },
  {
    name: 'store.latency',
    kind: 'histogram',
    unit: 's',
    help: 'Time of a call to the store, from sent to answered.',
    read: ({ latency }) => inSeconds(latency),
  },
  {
    name: 'store.batch.size',
    kind: 'histogram',
    help: 'Calls that travelled together.',
    read: ({ batchSizes }) => batchSizes,
  },
  {
    name: 'store.batches',
    kind: 'counter',
    help: 'Script calls sent to the store.',
    read: ({ batches }) => one(batches),
  },
  {
    name: 'store.merged.calls',
    kind: 'counter',
    help: 'Calls that travelled merged with another on their key.',
    read: ({ merged }) => one(merged),
  },
  {
    name: 'store.pending.calls',
    kind: 'gauge',
    help: 'Calls that wait for the store now.',
    read: ({ pending }) => one(pending),
  },
  {
    name: 'store.state',
    kind: 'gauge',
    labels: ['state'],
    help: 'State of the store: 1 at the one that it is in.',
    read: ({ store }) => oneOf(['none', 'connecting', 'up', 'down'], store),
  },
  {
    name: 'circuit.state',
    kind: 'gauge',
    labels: ['state'],
    help: 'State of the circuit breaker before the store: 1 at the one that it is in.',
    read: ({ circuit }) => oneOf(['none', 'closed', 'open', 'half-open'], circuit),
  },
  {
    name: 'circuit.opened',
    kind: 'counter',
    help: 'How often the circuit breaker has opened.',
    read: ({ circuitOpened }) => one(circuitOpened),
  },
  {
    name: 'store.told.keys',
    kind: 'counter',
    help: 'Keys of which the store was told, when it was back, what had been admitted in its place.',
    read: ({ told }) => one(told),
  },
  {
    name: 'fleet.instances',
    kind: 'gauge',
    merge: 'max',
    help: 'Instances that share the limit of the fallback, as far as is known.',
    read: ({ fleet }) => (fleet === null ? [] : one(fleet)),
  },
  {
    name: 'keys',
    kind: 'gauge',
    help: "Keys held in this process's memory, or in memory that it shares.",
    read: ({ keys }) => one(keys),
  },
  {
    name: 'memory',
    kind: 'gauge',
    unit: 'By',
    help: 'Bytes that these keys take.',
    read: ({ bytes }) => one(bytes),
  },
  {
    name: 'leased.keys',
    kind: 'gauge',
    help: 'Keys of which units are leased to this process.',
    read: ({ leases }) => one(leases.held),
  },
  {
    name: 'leased.units',
    kind: 'gauge',
    help: 'Units that are leased to this process and not yet used.',
    read: ({ leases }) => one(leases.units),
  },
  {
    name: 'policies.version',
    kind: 'gauge',
    merge: 'max',
    help: 'Version of the policies that are shared and in force here, 0 where none are.',
    read: ({ policies }) => one(policies.version),
  },
  {
    name: 'policies.changes',
    kind: 'counter',
    help: 'How often other limits came into force here.',
    read: ({ policies }) => one(policies.changes),
  },
  {
    name: 'policies.invalid',
    kind: 'counter',
    help: 'How often policies of a file or of the fleet were not right, so that the last good ones stayed in force.',
    read: ({ policies }) => one(policies.invalid),
  },
  {
    name: 'adaptive.multiplier',
    kind: 'gauge',
    labels: ['priority'],
    merge: 'min',
    help: 'What is left of the limits for each priority while the process is loaded, from 0 to 1.',
    read: ({ adaptive }) =>
      adaptive ? Object.entries(adaptive.priorities).map(([priority, left]) => [{ priority }, left]) : [],
  },
  {
    name: 'adaptive.instances',
    kind: 'gauge',
    merge: 'max',
    help: "Instances whose multipliers' mean is in force, with the scope 'fleet' alone.",
    read: ({ adaptive }) => (adaptive?.scope === 'fleet' ? one(adaptive.instances) : []),
  },
  {
    name: 'adaptive.load',
    kind: 'gauge',
    labels: ['signal'],
    merge: 'max',
    help: 'Load by the signal that it was read from: 1 is as loaded as the process may be.',
    read: ({ adaptive }) =>
      adaptive ? Object.entries(adaptive.signals).map(([signal, load]) => [{ signal }, load]) : [],
  },
  {
    name: 'adaptive.signal.failures',
    kind: 'counter',
    help: 'How often a signal of the load threw, or said nothing that is a load.',
    read: ({ adaptive }) => (adaptive ? one(adaptive.failures) : []),
  },
  {
    // Keys are of any number, so only for who asks for it, and only so many.
    name: 'top.denied.calls',
    kind: 'gauge',
    labels: ['key'],
    help: 'Denied calls of the keys that were denied most often: an estimate.',
    read: ({ topDenied }, most) => topDenied.slice(0, most).map(({ key, denied }) => [{ key }, denied]),
  },
]

module.exports = { METRICS }
