// The class that applications see: a thin face over native functions, every rule of which is in Rust.
'use strict'

const { EventEmitter } = require('node:events')
const { Pressure } = require('./adaptive/pressure.js')
const { bucketsOf, isDueToReduction } = require('./adaptive/reason.js')
const native = require('./native.js')
const { denied, shadow, state, store } = require('./channels.js')
const { employ, release, work } = require('./clients/bridge.js')
const { adapterOf } = require('./clients/index.js')
const { row, decisionOf } = require('./decision.js')
const { badOption } = require('./errors.js')
const { own } = require('./own.js')
const { explanationOf } = require('./explanation.js')
const { openPolicies } = require('./policies/index.js')
const { SharedPolicies, sharesNone, sharesPolicies } = require('./policies/shared.js')
const { Reservation } = require('./reservation.js')
const { ROUTE_OF } = require('./route-of.js')
const { disagreementsOf, watched } = require('./shadow.js')
const { statsOf } = require('./stats.js')
const { WaitingRoom, readOptions } = require('./waiting-room.js')

// What is known at once is answered by a promise that exists already.
const ALLOWED = Promise.resolve(true)
const DENIED = Promise.resolve(false)
const DONE = Promise.resolve()

const NO_BUCKETS = new Map()

const TELL = Symbol('tell')

/** What a concurrency limit is made of: its options are of another kind, and it calls what is behind `reserve` itself. */
const OF_HOLDS = Symbol('of holds')
const HOLDS = Symbol('holds')

// What the channel of states calls these events.
const STATES = new Map([
  ['storeDown', 'down'],
  ['storeUp', 'up'],
  ['close', 'closed'],
])

// Weak, so that a limiter which the application has dropped can be collected, and its connection closed.
const limiters = new Map()
// The files that are followed for some of them, which nobody else would stop.
const files = new Map()
const collected = new FinalizationRegistry(forget)

function forget(id) {
  limiters.delete(id)
  files.get(id)?.stop()
  files.delete(id)
}

function tell(id, event, what) {
  limiters.get(id)?.deref()?.[TELL](event, what)
}

native.install(row, decisionOf, tell, work, release)

/** Whether a native function has decided at once; else its answer is the promise of who was asked. */
function isDecided(answer) {
  return answer === undefined || Array.isArray(answer)
}

class RateLimiter extends EventEmitter {
  #native
  #logger
  #isDown = false
  #isWatched = false
  #closed
  #waiting
  #shared
  #pressure
  #buckets
  #calls
  #isAllowed
  #isAllowedSync
  #check
  #counted = { changes: 0, invalid: 0 }

  constructor(given, kind) {
    super()
    const { options, follow } = kind === OF_HOLDS ? { options: given } : openPolicies(given)
    const adapter = adapterOf(options)
    this.#native = new native.RateLimiter(options, adapter, kind === OF_HOLDS)
    if (adapter !== undefined) employ(this.#native.id, adapter)
    this.#logger = Object.hasOwn(options, 'logger') ? options.logger : undefined
    this.#calls = this.#native.calls()
    if (sharesPolicies(options)) {
      this.#shared = new SharedPolicies(options, {
        apply: (limits) => this.update(limits),
        publish: (asked) => this.ready().then(() => this.#calls.publish(asked)),
        refuse: (error) => this[TELL]('policiesInvalid', error),
      })
    }
    if (Object.hasOwn(options, 'adaptive') && options.adaptive) {
      this.#pressure = new Pressure(own(options.adaptive), this.#calls.observe, (event, what) =>
        this[TELL](event, what),
      )
      this.#calls = this.#pressure.looking(this.#calls)
      this.#buckets = bucketsOf(this.policies())
    }
    this.#bind()
    limiters.set(this.#native.id, new WeakRef(this))
    collected.register(this, this.#native.id)
    if (follow !== undefined) files.set(this.#native.id, followed(follow, new WeakRef(this)))
  }

  isAllowed(key, options) {
    // A boolean says nothing of a denial, so who wants to hear of it has it decided by the call that tells all.
    if (denied.hasSubscribers) return this.#checked(key, options).then(isAllowed)
    try {
      const answer = options === undefined ? this.#isAllowed(key) : this.#isAllowed(key, options)
      return answer === true ? ALLOWED : answer === false ? DENIED : this.#asked('isAllowed', key, answer)
    } catch (error) {
      return Promise.reject(error)
    }
  }

  isAllowedSync(key, options) {
    const allowed = options === undefined ? this.#isAllowedSync(key) : this.#isAllowedSync(key, options)
    if (!allowed) this.#denied(key, undefined)
    return allowed
  }

  check(key, options) {
    return this.#checked(key, options)
  }

  peek(key, options) {
    return this.#decide('peek', key, () => this.#calls.peek(key, ...given(options)))
  }

  async explain(key, options) {
    // Both at once, so that they speak of the same limits.
    const explained = this.#calls.explain(key, ...given(options))
    const decision = this.peek(key, options)
    const multiplier = this.#pressure?.left(options?.priority) ?? 1
    return explanationOf(explained, await decision, { version: this.#shared?.version ?? 0, multiplier })
  }

  refund(key, cost, options) {
    return this.#decide('refund', key, () => this.#calls.refund(key, cost, ...given(options)))
  }

  penalty(key, cost, options) {
    return this.#decide('penalty', key, () => this.#calls.penalty(key, cost, ...given(options)))
  }

  block(key, duration, options) {
    return this.#change('block', key, () => this.#calls.block(key, duration, ...given(options)))
  }

  unblock(key, options) {
    return this.#change('unblock', key, () => this.#calls.unblock(key, ...given(options)))
  }

  reset(key, options) {
    return this.#change('reset', key, () => this.#calls.reset(key, ...given(options)))
  }

  async checkRequest(userId, timestamp) {
    const options = timestamp === undefined ? undefined : { timestamp }
    const { allowed, retryAfter } = await this.check(userId, options)
    return { allowRequest: allowed, retryAfter }
  }

  acquire(key, options) {
    this.#waiting ??= new WaitingRoom({
      patience: this.#calls.patience,
      reserve: (key, options, patience) =>
        this.#decide('acquire', key, () => this.#calls.reserve(key, options, patience)),
      peek: (key, options) => this.peek(key, options),
      giveBack: (key, cost, options) => this.#change('giveBack', key, () => this.#calls.giveBack(key, cost, options)),
    })
    const answer = this.#waiting.acquire(key, options)
    // In a bucket places are booked ahead, so that what is left of it does not tell whether the whole one has room.
    return this.#heard(
      key,
      this.#reasoned(key, answer, () => readOptions(options).call, NO_BUCKETS),
    )
  }

  reserve(key, options) {
    const answer = this[HOLDS].hold(key, options)
    const held = this.#reasoned(key, answer, () => withoutEnd(options))
    return this.#heard(
      key,
      held.then((decision) => new Reservation(this[HOLDS], key, options, decision)),
    )
  }

  configure(key, limit) {
    this.#calls.configure(key, limit)
  }

  update(options) {
    this.#calls.update(options)
    this.#counted.changes += 1
    this.#bind()
    const policies = this.policies()
    if (this.#pressure !== undefined) this.#buckets = bucketsOf(policies)
    this[TELL]('policies', policies)
  }

  ready(options) {
    return this.#do(() => this.#calls.ready(options))
  }

  close() {
    if (this.#closed === undefined) {
      this.#calls.close()
      files.get(this.#native.id)?.stop()
      files.delete(this.#native.id)
      this.#pressure?.close()
      const finish = () => this.#do(this.#calls.finish)
      const finished = this.#waiting === undefined ? finish() : this.#waiting.close().then(finish)
      this.#closed = finished.finally(() => this[TELL]('close'))
    }
    return this.#closed
  }

  /** A function of its own, which the middleware keeps. */
  get [ROUTE_OF]() {
    return this.#calls.routeOf
  }

  /** Whether response times are among what its limits give way by. */
  get measuresLatency() {
    return this.#pressure?.measuresLatency === true
  }

  latency(ms) {
    if (typeof ms !== 'number' || !(ms >= 0 && ms < Infinity)) {
      const Kind = typeof ms === 'number' ? RangeError : TypeError
      throw badOption(Kind, 'ms', 'a number of milliseconds, 0 or more', ms)
    }
    this.#pressure?.latency(ms)
  }

  policies() {
    return this.#native.policies()
  }

  async publishPolicies(document, options) {
    if (this.#shared === undefined) throw sharesNone('publishPolicies')
    return this.#shared.publish(document, options)
  }

  sharedPolicies() {
    if (this.#shared === undefined) throw sharesNone('sharedPolicies')
    return this.#shared.current()
  }

  stats() {
    const policies = { ...this.#counted, version: this.#shared?.version ?? 0 }
    return { ...statsOf(this.#native, policies), adaptive: this.#pressure?.stats() ?? null }
  }

  /** Keeps the functions that are called once a request; where limits are tried, of which somebody may want to hear, each is watched. */
  #bind() {
    if (!this.#isWatched && this.#native.tries()) {
      this.#isWatched = true
      this.#calls = watched(this.#calls, this.#disagreed())
    }
    this.#isAllowed = this.#calls.isAllowed
    this.#isAllowedSync = this.#calls.isAllowedSync
    this.#check = this.#calls.check
  }

  #checked(key, options) {
    try {
      const answer = options === undefined ? this.#check(key) : this.#check(key, options)
      if (!isDecided(answer)) {
        const asked = this.#asked('check', key, answer)
        const told =
          this.#pressure === undefined ? asked : asked.then((decision) => this.#explained(key, options, decision))
        return this.#heard(key, told)
      }
      const decision = decisionOf(answer)
      if (decision.allowed) return Promise.resolve(decision)
      if (this.#isReduced(options)) return this.#heard(key, this.#explained(key, options, decision))
      this.#denied(key, decision)
      return Promise.resolve(decision)
    } catch (error) {
      return Promise.reject(error)
    }
  }

  /** The promise of a decision with its `reason`; `optionsOf` answers what a `check` for as many units would be given. */
  #reasoned(key, promise, optionsOf, buckets) {
    if (this.#pressure === undefined) return promise
    return promise.then((decision) =>
      decision.allowed ? decision : this.#explained(key, optionsOf(), decision, buckets),
    )
  }

  #isReduced(options) {
    return this.#pressure !== undefined && this.#pressure.isReduced(options?.priority)
  }

  /**
   * A decision with its `reason`, where it is a refusal that the whole limits would not have made. What was refused without asking was
   * refused by a reduced limit, and is not asked for either.
   */
  async #explained(key, options, decision, buckets = this.#buckets) {
    if (decision.allowed || decision.reason !== undefined || !this.#isReduced(options)) return decision
    if (decision.source === 'deny-cache') return { ...decision, reason: 'adaptive' }
    try {
      const answer = this.#calls.whole(key, ...given(options))
      const whole = isDecided(answer) ? decisionOf(answer) : await answer
      const isDue = isDueToReduction(decision, whole, options, buckets)
      return isDue ? { ...decision, reason: 'adaptive' } : decision
    } catch {
      // The limiter was closed meanwhile, or its store is away: the refusal stands, and nobody knows why.
      return decision
    }
  }

  #decide(name, key, call, isHold = false) {
    try {
      const answer = call()
      return isDecided(answer) ? Promise.resolve(decisionOf(answer, isHold)) : this.#asked(name, key, answer)
    } catch (error) {
      return Promise.reject(error)
    }
  }

  /** Units that are held, and what is done with them. Each answers with a decision and the end of the hold, `booked`. */
  get [HOLDS]() {
    const calls = this.#calls
    return {
      hold: (key, options, ttl) => this.#decide('reserve', key, () => calls.hold(key, options, ttl), true),
      settle: (key, actual, hold) => this.#decide('settle', key, () => calls.settle(key, actual, hold), true),
      renew: (key, ttl, hold) => this.#decide('renew', key, () => calls.renew(key, ttl, hold), true),
      patience: calls.patience,
    }
  }

  #change(name, key, call) {
    try {
      const answer = call()
      return answer === undefined ? DONE : this.#asked(name, key, answer)
    } catch (error) {
      return Promise.reject(error)
    }
  }

  #do(call) {
    try {
      return call() ?? DONE
    } catch (error) {
      return Promise.reject(error)
    }
  }

  /** What the store was asked, told to who wants to hear of it. */
  #asked(call, key, answer) {
    if (!store.hasSubscribers) return answer
    store.publish({ limiter: this, call, key, answer })
    // A promise of the caller's own: one on which a subscriber waits would never be reported as rejected and not handled.
    return answer.then(itself)
  }

  /** The promise of a decision, of which subscribers hear if it is a denial. */
  #heard(key, promise) {
    if (!denied.hasSubscribers) return promise
    return promise.then((decision) => {
      if (!decision.allowed) this.#denied(key, decision)
      return decision
    })
  }

  /** What hears of decisions under limits some of which are tried: whether anybody wants that, and where it is told. */
  #disagreed() {
    // What is kept of this limiter must not keep it.
    const held = new WeakRef(this)
    return {
      isLocal: this.#native.isLocal,
      isWanted: () => shadow.hasSubscribers || held.deref()?.listenerCount('disagreement') > 0,
      tell: (key, decision) => {
        const limiter = held.deref()
        for (const told of disagreementsOf(decision)) {
          // In a tick of its own, as what is told by events is: whoever listens may call again, while this call has not been answered.
          process.nextTick(() => {
            if (shadow.hasSubscribers) shadow.publish({ limiter, key, ...told, decision })
            limiter?.emit('disagreement', { key, ...told, decision })
          })
        }
      },
    }
  }

  #denied(key, decision) {
    if (denied.hasSubscribers) denied.publish({ limiter: this, key, decision })
  }

  // In a tick of its own: a listener that throws is its owner's error, and must not stop answers from being delivered.
  [TELL](event, what) {
    if (event === 'policiesInvalid') this.#counted.invalid += 1
    // At once, since nobody else is called: whoever has published goes on when it is in force.
    if (event === 'sharedPolicies') return void (this.#closed ?? this.#shared?.heard(what))
    process.nextTick(() => {
      this.#log(event, what)
      if (state.hasSubscribers && STATES.has(event)) {
        state.publish({ limiter: this, state: STATES.get(event), error: what })
      }
      this.emit(event, ...(what === undefined ? [] : [what]))
    })
  }

  #log(event, what) {
    const logger = this.#logger
    if (event === 'storeDown') {
      this.#isDown = true
      logger?.error(`distributed-rate-limiter: ${what.message}`)
    } else if (event === 'storeUp') {
      if (this.#isDown) logger?.warn('distributed-rate-limiter: Redis answers again')
      this.#isDown = false
    } else if (event === 'policiesInvalid') {
      logger?.error(`distributed-rate-limiter: the last good policies stay in force: ${what.message}`)
    } else if (event === 'fleetUnknown') {
      logger?.warn(`distributed-rate-limiter: it is not known how the fleet is: ${what.message}`)
    } else if (event === 'adaptive') {
      const { multiplier, load } = what
      logger?.warn(
        multiplier < 1
          ? `distributed-rate-limiter: the limits give way, at a load of ${load.toFixed(2)}`
          : 'distributed-rate-limiter: the limits are whole again',
      )
    } else if (event === 'signalFailed') {
      logger?.warn(`distributed-rate-limiter: ${what.message}: ${what.cause?.message ?? what.cause}`)
    } else if (event === 'storeEvicts') {
      logger?.warn(
        `distributed-rate-limiter: Redis may evict keys (maxmemory-policy is ${what}), and an evicted key has its limit once more: set noeviction`,
      )
    }
  }
}

/** Has changes of a file of policies applied to a limiter, for as long as there is one. */
function followed(follow, limiter) {
  return follow({
    apply: (options) => limiter.deref()?.update(options),
    fail: (error) => limiter.deref()?.[TELL]('policiesInvalid', error),
  })
}

/** Of the options of a reservation those that a `check` has, too. */
function withoutEnd(options) {
  if (options === undefined) return undefined
  const { ttl: _, ...call } = own(options)
  return call
}

/** Options as the last argument, or none: a call without any is the faster one. */
function given(options) {
  return options === undefined ? [] : [options]
}

const isAllowed = ({ allowed }) => allowed
const itself = (answer) => answer

module.exports = { HOLDS, OF_HOLDS, RateLimiter }
