/** A limiter as observers see one, which says whatever a test puts into its `stats`. */

import { EventEmitter } from 'node:events'

/** Everything that `stats()` tells, each number another one. */
export function someStats(change = {}) {
  return {
    allowed: 70,
    denied: 30,
    sources: { redis: 50, memory: 0, fallback: 20, client: 0, 'deny-cache': 25, lease: 5, shared: 0, list: 0 },
    limits: { second: { allowed: 40, denied: 21 }, day: { allowed: 30, denied: 9 } },
    actions: { post: { allowed: 7, denied: 3 }, other: { allowed: 2, denied: 1 } },
    lists: { allowed: 0, denied: 0 },
    shadow: { candidate: { agreed: 88, wouldDeny: 5, wouldAllow: 7 } },
    storeErrors: 11,
    latency: { bounds: [1, 5, 250], counts: [4, 3, 2, 1], sum: 1_234, count: 10 },
    batchSizes: { bounds: [1, 8, 128], counts: [6, 5, 0, 1], sum: 300, count: 12 },
    batches: 13,
    batchedCalls: 300,
    merged: 17,
    pending: 19,
    keys: 23,
    bytes: 4_096,
    store: 'up',
    circuit: 'half-open',
    circuitOpened: 2,
    told: 6,
    fleet: 8,
    leases: { held: 3, units: 55 },
    policies: { version: 21, changes: 9, invalid: 14 },
    topDenied: [
      { key: 'mallory', denied: 20 },
      { key: 'eve "the\n" ear', denied: 9 },
      { key: 'bob', denied: 1 },
    ],
    ...change,
  }
}

export class Observed extends EventEmitter {
  asked = 0
  now

  constructor(change) {
    super()
    this.now = someStats(change)
  }

  stats() {
    this.asked += 1
    return this.now
  }

  close() {
    this.emit('close')
  }
}
