/**
 * What a limiter is to whoever calls it, one call after the other: the sequential model.
 *
 * Windows are so long that no unit comes back while a history is played, so every algorithm is the same counter, and time
 * is none of it. A key's state is how many units are counted under each of its limits (above the limit they are debt),
 * and whether it is blocked.
 */

/** The limits that a history is played under, by name; each is one `action` of a limiter, or several limits together. */
export const KINDS = {
  'fixed-window': [8],
  'sliding-window': [8],
  // Fewer slots than units, so that they are merged.
  'sliding-window in 2 slots': [8],
  'token-bucket': [8],
  'several limits': [6, 9],
}

export const NAMES = Object.keys(KINDS)

/** A key that was never seen. */
export function fresh(limits) {
  return { counts: limits.map(() => 0), blocked: false }
}

/** A state as a string: equal states, equal strings. */
export function keyOf({ counts, blocked }) {
  return `${counts.join()}${blocked ? '!' : ''}`
}

/** What one call does to a key: the state after it, and what it is told. */
export function apply(limits, state, { verb, cost = 1, upTo = false }) {
  const { counts, blocked } = state
  switch (verb) {
    case 'check':
    case 'isAllowed':
      return take(limits, state, cost, upTo)
    case 'peek':
      return { state, answer: look(limits, state, upTo ? 1 : cost) }
    case 'refund': {
      const after = { counts: counts.map((count) => Math.max(0, count - cost)), blocked }
      return { state: after, answer: look(limits, after, 1) }
    }
    case 'penalty': {
      const owed = (count, index) => Math.max(count, Math.min(count + cost, 2 * limits[index]))
      const after = { counts: counts.map(owed), blocked }
      return { state: after, answer: look(limits, after, 1) }
    }
    case 'reset':
      return { state: fresh(limits), answer: {} }
    case 'block':
      return { state: { counts, blocked: true }, answer: {} }
    case 'unblock':
      return { state: { counts, blocked: false }, answer: {} }
    default:
      throw new Error(`the model knows no ${verb}`)
  }
}

/** All limits have room, or none is charged. */
function take(limits, state, cost, upTo) {
  const before = look(limits, state, upTo ? 1 : cost)
  if (!before.allowed) return { state, answer: before }
  const granted = Math.min(cost, before.remaining)
  const after = { counts: state.counts.map((count) => count + granted), blocked: state.blocked }
  const { remaining, each } = look(limits, after, 0)
  return {
    state: after,
    answer: { allowed: true, granted, remaining, each: each.map((left) => ({ ...left, allowed: true })) },
  }
}

/** What a call that needs `least` units is told when it takes none. */
function look(limits, { counts, blocked }, least) {
  const each = limits.map((limit, index) => {
    const remaining = blocked ? 0 : Math.max(0, limit - counts[index])
    return { allowed: !blocked && remaining >= least, remaining }
  })
  const allowed = each.every((part) => part.allowed)
  return { allowed, granted: 0, remaining: Math.min(...each.map(({ remaining }) => remaining)), each }
}

/**
 * Whether what a caller was told is what the model says: all that was told is compared. Where several limits refuse, the one that
 * must be waited for longest speaks for all; which that is depends on time, so each limit is compared and not their speaker.
 */
export function agrees(told, answer) {
  if (told.allowed !== undefined && told.allowed !== answer.allowed) return false
  if (told.granted !== undefined && told.granted !== answer.granted) return false
  if (told.each !== undefined) {
    const same = (part, index) =>
      part.allowed === answer.each[index].allowed && part.remaining === answer.each[index].remaining
    if (told.each.length !== answer.each.length || !told.each.every(same)) return false
    if (!answer.allowed) return true
  }
  return told.remaining === undefined || told.remaining === answer.remaining
}
