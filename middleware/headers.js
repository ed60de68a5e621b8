// What a response says of the limits: RateLimit-Policy and RateLimit of draft-ietf-httpapi-ratelimit-headers-11, the older
// X-RateLimit-*, and Retry-After.
'use strict'

const { createHash } = require('node:crypto')
const { periodOf } = require('../lib/native.js')

const NAME_OF_ONE = 'default'

/** The unit of a quota where requests cost different numbers of units: without `qu` a client would take them for requests. */
const UNIT_OF_COSTS = 'units'

/** Whole seconds, never earlier than the truth. */
const secondsOf = (ms) => Math.max(1, Math.ceil(ms / 1_000))

const secondsUp = (ms) => Math.ceil(ms / 1_000)

const itself = (action) => action

class Headers {
  #draft
  #legacy
  #partitionKey
  /** Of the limits, and of each action that has its own. */
  #own
  #actions = new Map()
  /** The action of the options under which another falls, which may be a pattern. */
  #routeOf

  /** `policies` are those of the limiter, `hasCost` says whether requests cost different numbers of units, `routeOf` which action another falls under. */
  constructor(policies, { draft, legacy, partitionKey, quotaUnit }, hasCost, routeOf = itself) {
    this.#routeOf = routeOf
    this.#draft = draft
    this.#legacy = legacy
    this.#partitionKey = partitionKey
    const unit = quotaUnit ?? (hasCost ? UNIT_OF_COSTS : undefined)
    const general = policies.filter(({ action }) => action === undefined)
    this.#own = new Policies(general, NAME_OF_ONE, unit)
    // What counts for every call counts for those of an action, too.
    const always = general.filter(({ name }) => name === 'newKeys')
    for (const action of new Set(policies.map((policy) => policy.action))) {
      if (action === undefined) continue
      const its = policies.filter((policy) => policy.action === action)
      this.#actions.set(action, new Policies([...its, ...always], isPlain(action) ? action : NAME_OF_ONE, unit))
    }
  }

  /** The names of the limits that refused, as this response calls them. */
  violated(decision, action) {
    const policies = this.#of(action)
    if (decision.limits === undefined) return [policies.name]
    return decision.limits.filter(({ allowed }) => !allowed).map(({ name }) => policies.nameOf(name))
  }

  /** Calls `set(response, name, value)` for each header. */
  write(set, response, decision, action, key) {
    const now = Date.now()
    if (!decision.allowed) set(response, 'Retry-After', String(secondsOf(decision.retryAfterMs)))
    if (this.#draft) {
      const policies = this.#of(action)
      const partition = this.#partitionKey ? partitionOf(key) : undefined
      set(response, 'RateLimit-Policy', policies.header(decision, now, partition))
      set(response, 'RateLimit', policies.standing(decision, now, partition))
    }
    if (this.#legacy) {
      const wait = decision.allowed ? decision.resetAt : now + decision.retryAfterMs
      set(response, 'X-RateLimit-Limit', String(decision.limit))
      set(response, 'X-RateLimit-Remaining', String(decision.remaining))
      set(response, 'X-RateLimit-Reset', String(Math.ceil(wait / 1_000)))
    }
  }

  #of(action) {
    return action === undefined ? this.#own : (this.#actions.get(this.#routeOf(action)) ?? this.#own)
  }
}

/** The limits that decide one kind of request, with all that does not change from one to the next written once. */
class Policies {
  #header
  #parameters
  #byName = new Map()
  #first
  /** From when until when the lengths of all windows are what is written; periods of a calendar differ. */
  #begin = -Infinity
  #end = Infinity

  constructor(policies, name, unit) {
    this.name = name
    this.#parameters = unit === undefined ? '' : `;qu="${unit}"`
    for (const policy of policies) {
      const shown = this.nameOf(policy.name)
      const written = {
        // A name holds no character that would have to be escaped.
        item: `"${shown}"`,
        quota: `"${shown}";q=${policy.limit}${this.#parameters}`,
        by: policy.by,
        calendar: policy.window,
        seconds: secondsUp(policy.windowMs),
        mostAtOnce: mostAtOnce(policy),
        fullAfterSeconds: secondsUp(fullAfterMs(policy)),
      }
      this.#first ??= written
      this.#byName.set(policy.name, written)
    }
    this.#turn(Date.now())
  }

  /** Writes the header for a moment. */
  #turn(now) {
    this.#begin = -Infinity
    this.#end = Infinity
    for (const written of this.#byName.values()) {
      if (written.calendar !== undefined) {
        const [begin, end] = periodOf(written.calendar, now)
        this.#begin = Math.max(this.#begin, begin)
        this.#end = Math.min(this.#end, end)
        written.seconds = secondsUp(end - begin)
      }
      written.policy = `${written.quota};w=${written.seconds}`
    }
    this.#header = [...this.#byName.values()].map(({ policy }) => policy).join(', ')
  }

  /** What the limit is called: an action's only limit, which has no name of its own, by the action. */
  nameOf(name) {
    return name === NAME_OF_ONE ? this.name : name
  }

  header(decision, now, partition) {
    if (now < this.#begin || now >= this.#end) this.#turn(now)
    if (decision.limits === undefined && decision.limit !== this.#first?.mostAtOnce) {
      // A limit that only this key has, or that only the fallback has: how long its window is nobody says.
      return `"${this.name}";q=${decision.limit}${this.#parameters}${suffix(partition, this.#first?.by)}`
    }
    if (partition === undefined) return this.#header
    return [...this.#byName.values()].map(({ policy, by }) => `${policy}${suffix(partition, by)}`).join(', ')
  }

  standing(decision, now, partition) {
    const { limits } = decision
    if (limits === undefined) return this.#item(this.#first, decision, decision, now, partition)
    let value = ''
    for (let index = 0; index < limits.length; index += 1) {
      const item = this.#item(this.#byName.get(limits[index].name), limits[index], decision, now, partition)
      value = index === 0 ? item : `${value}, ${item}`
    }
    return value
  }

  /**
   * `t` is the time in which no more than `r` should be used. Refused, it ends when asking is worth while again, and for other limits
   * not later, since Retry-After must not come before the end of it. Otherwise it ends when the limit is as good as new.
   */
  #item(written, { remaining, resetAt, allowed, retryAfterMs }, decision, now, partition) {
    let seconds
    if (!allowed) seconds = secondsOf(retryAfterMs)
    else {
      // Both are whole milliseconds, one rounded up and one down: what lies between is up to two less.
      seconds = Math.max(0, Math.ceil((resetAt - now - 2) / 1_000))
      // The moment is by the clock of whoever decided, and ours may differ: it is never longer than from empty to full.
      if (written !== undefined && seconds > written.fullAfterSeconds) seconds = written.fullAfterSeconds
    }
    if (!decision.allowed) seconds = Math.min(seconds, secondsOf(decision.retryAfterMs))
    const name = written === undefined ? `"${this.name}"` : written.item
    const field = `${name};r=${remaining};t=${seconds}`
    return partition === undefined ? field : `${field}${suffix(partition, written?.by)}`
  }
}

/** The most that one call could take, which is a decision's `limit`. */
function mostAtOnce({ algorithm, limit, burst }) {
  if (algorithm === 'token-bucket') return burst ?? limit
  if (algorithm === 'leaky-bucket') return (burst ?? limit) + 1
  return limit + (burst?.extra ?? 0)
}

/** How long a limit takes from empty to full, with room for the slot in which the last unit comes back. */
function fullAfterMs({ algorithm, limit, windowMs, burst }) {
  if (algorithm === 'token-bucket' || algorithm === 'leaky-bucket') {
    return ((mostAtOnce({ algorithm, limit, burst }) + 1) * windowMs) / limit
  }
  return 2 * Math.max(windowMs, burst?.windowMs ?? 0)
}

/** ` pk` of one limit: of the field by which it counts, and nothing for a limit that all share. */
function suffix(partition, by) {
  if (partition === undefined || by === 'global') return ''
  const digest = by === undefined ? partition.whole : partition.of?.(by)
  return digest === undefined ? '' : `;pk=:${digest}:`
}

/** A key as clients may see it: as a digest, since it may be another's name for them, and is written to logs on the way. */
function partitionOf(key) {
  if (typeof key === 'string') return { whole: digest(key) }
  return { of: (field) => (typeof key[field] === 'string' ? digest(key[field]) : undefined) }
}

const digest = (text) => createHash('sha256').update(text).digest().subarray(0, 12).toString('base64')

/** Whether a structured field's string can hold it without an escape. */
const isPlain = (text) => /^[\x20\x21\x23-\x5b\x5d-\x7e]+$/.test(text)

module.exports = { Headers, secondsOf }
