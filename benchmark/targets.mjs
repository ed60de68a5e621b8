/** What this project promises of its own speed, and whether this run kept it. */

const OURS = ['ours-sliding-window', 'ours-token-bucket']

// Of the peers that ran, the one with the most calls a second.
const FASTEST_PEER = Symbol('fastest peer')

/** Ours over theirs. */
const ratioOf = (field) => (ours, peer) => ours[field] / peer[field]

/** Theirs over ours, of a time. */
const speed = (ours, peer) => peer.nsPerCall / ours.nsPerCall

/** Kept when the ratio is at least `atLeast`, at most `atMost`, or less than `below`. */
const TARGETS = [
  {
    what: 'memory, allowed: speed as a multiple of rate-limiter-flexible',
    scenario: 'memory-allowed',
    peer: 'rlf-memory',
    ratio: speed,
    atLeast: 2.2,
  },
  {
    what: 'memory, denied: speed as a multiple of rate-limiter-flexible',
    scenario: 'memory-denied',
    peer: 'rlf-memory',
    ratio: speed,
    atLeast: 7,
  },
  {
    what: 'Redis, 256 in flight: calls/s as a multiple of the fastest peer',
    scenario: 'redis-256',
    peer: FASTEST_PEER,
    ratio: ratioOf('callsPerSecond'),
    atLeast: 2.5,
  },
  {
    what: 'Redis, 256 in flight: CPU a call as a fraction of that peer',
    scenario: 'redis-256',
    peer: FASTEST_PEER,
    ratio: ratioOf('cpuUsPerCall'),
    atMost: 1 / 6,
  },
  {
    what: 'Redis, 256 in flight: p99 as a fraction of that peer',
    scenario: 'redis-256',
    peer: FASTEST_PEER,
    ratio: ratioOf('p99Us'),
    below: 1,
  },
  {
    what: 'Redis, one key, 1,024 in flight: calls/s as a multiple of the fastest peer',
    scenario: 'redis-hot',
    peer: FASTEST_PEER,
    ratio: ratioOf('callsPerSecond'),
    atLeast: 10,
  },
  {
    what: 'Redis, one key that is denied: calls/s as a multiple of rate-limiter-flexible + ioredis',
    scenario: 'redis-blocked',
    peer: 'rlf-ioredis',
    ratio: ratioOf('callsPerSecond'),
    atLeast: 20,
  },
  {
    what: 'Redis, one key that is denied: the same with its inMemoryBlockOnConsumed',
    scenario: 'redis-blocked',
    peer: 'rlf-ioredis-block',
    ratio: ratioOf('callsPerSecond'),
    atLeast: 3,
  },
  {
    what: 'Redis, three limits a call: calls/s as a multiple of a union of three',
    scenario: 'redis-three',
    peer: 'rlf-union',
    ratio: ratioOf('callsPerSecond'),
    atLeast: 6,
  },
  {
    what: 'Redis, 1 in flight: p50 as a multiple of rate-limiter-flexible + ioredis',
    scenario: 'redis-1',
    peer: 'rlf-ioredis',
    ratio: ratioOf('p50Us'),
    atMost: 1.4,
  },
]

/**
 * Each target of the scenarios that were run, for each of our algorithms. One for which a figure is missing, since its runs
 * failed or were left out, has `reached: null` and is not `kept`.
 */
export function judgeTargets(scenarios) {
  const concerned = TARGETS.filter(({ scenario }) => scenarios.some(({ id }) => id === scenario))
  return concerned.flatMap((target) => OURS.map((id) => judge(target, id, scenarios)))
}

function judge({ what, scenario, peer, ratio, ...bounds }, oursId, scenarios) {
  const measured = scenarios.find(({ id }) => id === scenario)?.contestants.filter(({ medians }) => medians) ?? []
  const ours = measured.find(({ id }) => id === oursId)
  const theirs = peer === FASTEST_PEER ? fastestPeer(measured) : measured.find(({ id }) => id === peer)
  const reached = ours && theirs ? ratio(ours.medians, theirs.medians) : null
  return { what, contestant: oursId, peer: theirs?.id ?? null, ...bounds, reached, kept: isKept(reached, bounds) }
}

function isKept(reached, { atLeast = -Infinity, atMost = Infinity, below = Infinity }) {
  return reached !== null && reached >= atLeast && reached <= atMost && reached < below
}

function fastestPeer(measured) {
  const peers = measured.filter(({ ours }) => !ours)
  return peers.sort((a, b) => b.medians.callsPerSecond - a.medians.callsPerSecond)[0]
}
