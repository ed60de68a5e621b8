// The way of one request, whatever the framework: whom it is counted for, what the limiter says, what the response says of it, and
// whether its units are given back afterwards. A framework's own file gives a face: how its requests are read and its responses written.
'use strict'

const { refusal } = require('../lib/errors.js')
const { ROUTE_OF } = require('../lib/route-of.js')
const { canonicalAddress, forwardedAddress } = require('./address.js')
const { Headers, secondsOf } = require('./headers.js')
const { messageOf, problemOf } = require('./problem.js')
const { readOptions } = require('./options.js')

/** Whoever is not counted goes on. */
const SKIPPED = Object.freeze({ allowed: true })

/** The client has gone: there is nobody to answer, and nothing is to be done. */
const GONE = Object.freeze({ allowed: false })

/** Hears of limits that are changed. An application has as many guards as it likes: they do not count among its own listeners. */
function follow(limiter, hear) {
  if (typeof limiter.on !== 'function') return
  const most = limiter.getMaxListeners()
  if (most > 0) limiter.setMaxListeners(most + 1)
  limiter.on('policies', hear)
}

/**
 * A face has these functions; `request` and `response` are whatever the framework hands to a middleware.
 * @typedef {object} Face
 * @property {(request) => import('node:http').IncomingHttpHeaders} headersOf
 * @property {(request) => string | undefined} socketAddressOf the address of the connection
 * @property {(request) => string | undefined} [addressOf] the client's, as the framework has it by its own setting; left out where it has none
 * @property {(request) => boolean} [trustsAll] whether that setting lets clients choose their address
 * @property {(response, name: string, value: string) => void} setHeader
 * @property {(request, response) => import('node:http').ServerResponse} nodeResponseOf
 */
class Guard {
  #face
  #limiter
  #key
  #cost
  #action
  #priority
  #measures
  #skip
  #message
  #countOnly
  #maxWait
  #proxies
  #ipv6Prefix
  #headers
  #hasWarned = false
  /** The client's canonical address: what functions for `key` are given. */
  #addressOf = (request) => this.#clientAddress(request)

  constructor(options, face, more) {
    const own = readOptions(options, { hasFrameworkSetting: face.addressOf !== undefined, more })
    const policies = own.limiter.policies()
    this.#face = face
    this.#limiter = own.limiter
    this.#key = own.key ?? defaultKey(policies)
    this.#cost = own.cost
    this.#action = own.action
    this.#priority = own.priority
    this.#measures = own.limiter.measuresLatency === true
    this.#skip = own.skip
    this.#message = own.message
    this.#countOnly = own.countOnly
    this.#maxWait = own.maxWait
    this.#proxies = own.proxies
    this.#ipv6Prefix = own.ipv6Prefix
    // Limits that are tried are nobody's affair yet.
    const inForce = ({ role }) => role === undefined
    const headersOf = (policies) =>
      new Headers(policies.filter(inForce), own.headers, own.cost !== undefined, own.limiter[ROUTE_OF])
    this.#headers = headersOf(policies)
    follow(own.limiter, (policies) => {
      this.#headers = headersOf(policies)
    })
    /** Of a refusal. */
    this.status = own.status
    /** What the application does with a refusal instead, in its framework's own way. */
    this.onDenied = own.onDenied
  }

  /** A decision, with the headers of the response written; or `SKIPPED`, `GONE`. Rejects with what is the framework's error handler's. */
  async admit(request, response) {
    if (this.#skip !== undefined && (await this.#skip(request))) return SKIPPED
    const node = this.#face.nodeResponseOf(request, response)
    // Who has gone has no address any more, and nobody is to be told.
    if (node?.destroyed) return GONE
    let key = this.#key(request, this.#addressOf)
    if (typeof key?.then === 'function') key = await key
    if (!isKey(key)) {
      if (node?.destroyed) return GONE
      throw noKey(key)
    }
    const call = this.#callOf(request)
    const { action, cost, priority } =
      call === undefined ? NO_CALL : typeof call.then === 'function' ? await call : call
    if (cost === 0) return SKIPPED
    const options = call === undefined ? undefined : callOptions(action, cost, priority)
    const decision = await (this.#maxWait === undefined
      ? this.#limiter.check(key, options)
      : this.#wait(key, options, node))
    // A leaky bucket has given it a place, and it goes on when that has come.
    if (decision.delayMs > 0 && !(await passes(decision.delayMs, node))) {
      this.#giveBack(key, decision.granted, action, priority)
      return GONE
    }
    // Somebody else has answered meanwhile, such as a middleware that looks at the time.
    if (decision === GONE || node?.headersSent) return GONE
    this.#headers.write(this.#face.setHeader, response, decision, action, key)
    if (decision.allowed) {
      if (this.#measures && node !== undefined) this.#measure(node)
      if (this.#countOnly !== undefined && node !== undefined)
        this.#watch(node, key, decision.granted, action, priority)
    } else {
      decision.violated = this.#headers.violated(decision, action)
    }
    return decision
  }

  /** `{ type, content }` of a refusal: a text, or an object to be written as JSON. */
  async refusal(request, decision) {
    let message = this.#message
    if (typeof message === 'function') message = await message(request, decision)
    if (message !== undefined) return messageOf(message)
    const { accept } = this.#face.headersOf(request)
    const retryAfter = secondsOf(decision.retryAfterMs)
    return problemOf({ status: this.status, retryAfter, violated: decision.violated, reason: decision.reason, accept })
  }

  /** What the request costs and does: nothing where neither is asked, or the promise of it where a function gives one. */
  #callOf(request) {
    if (this.#cost === undefined && this.#action === undefined && this.#priority === undefined) return undefined
    const cost = typeof this.#cost === 'function' ? this.#cost(request) : this.#cost
    const action = typeof this.#action === 'function' ? this.#action(request) : this.#action
    const priority = typeof this.#priority === 'function' ? this.#priority(request) : this.#priority
    if ([cost, action, priority].some((value) => typeof value?.then === 'function')) {
      return Promise.all([action, cost, priority]).then(([action, cost, priority]) => ({ action, cost, priority }))
    }
    return { action, cost, priority }
  }

  /** Waits for its turn, unless the client goes. */
  async #wait(key, options, node) {
    if (node === undefined) return this.#limiter.acquire(key, { ...options, maxWait: this.#maxWait })
    if (node.destroyed) return GONE
    const leaving = new AbortController()
    const leave = () => leaving.abort()
    node.once('close', leave)
    try {
      return await this.#limiter.acquire(key, { ...options, maxWait: this.#maxWait, signal: leaving.signal })
    } catch (error) {
      if (leaving.signal.aborted && error === leaving.signal.reason) return GONE
      throw error
    } finally {
      node.off('close', leave)
    }
  }

  /**
   * Gives the units back where the response that was finished is not of the kind that counts. One that never finishes is counted
   * whatever the kind: nobody gets units by hanging up.
   */
  #watch(node, key, units, action, priority) {
    const countsFailed = this.#countOnly === 'failed'
    node.once('finish', () => {
      // Of HTTP/2 a response is called finished also when its client has hung up.
      if (!node.writableEnded) return
      const hasFailed = node.statusCode >= 400
      if (hasFailed !== countsFailed) this.#giveBack(key, units, action, priority)
    })
  }

  /** Tells the limiter, whose limits give way by that, how long the response takes from now on. */
  #measure(node) {
    const start = performance.now()
    node.once('close', () => this.#limiter.latency(performance.now() - start))
  }

  /** The response is on its way already: where the store cannot be told, the units come back with time. */
  #giveBack(key, units, action, priority) {
    this.#limiter.refund(key, units, callOptions(action, undefined, priority)).catch(() => {})
  }

  #clientAddress(request) {
    const face = this.#face
    const proxies = this.#proxies
    if (proxies === undefined) {
      const address = face.addressOf(request)
      if (!this.#hasWarned && hasForwarding(face.headersOf(request))) this.#warnOfFramework(request, address)
      return canonicalAddress(address, this.#ipv6Prefix)
    }
    const socketAddress = face.socketAddressOf(request)
    if (proxies.hops === 0) {
      if (!this.#hasWarned && hasForwarding(face.headersOf(request))) this.#warn(UNTRUSTED, UNTRUSTED_ADVICE)
      return canonicalAddress(socketAddress, this.#ipv6Prefix)
    }
    const value = face.headersOf(request)[proxies.header]
    return forwardedAddress(value, proxies.entriesOf, proxies.hops, socketAddress, this.#ipv6Prefix)
  }

  #warnOfFramework(request, address) {
    const face = this.#face
    if (face.trustsAll?.(request)) this.#warn(PERMISSIVE, PERMISSIVE_ADVICE)
    else if (address === face.socketAddressOf(request)) this.#warn(UNTRUSTED, `${UNTRUSTED_ADVICE}, or ${face.advice}`)
  }

  #warn(code, message) {
    this.#hasWarned = true
    process.emitWarning(message, { type: 'RateLimitWarning', code })
  }
}

const NO_CALL = Object.freeze({ action: undefined, cost: undefined, priority: undefined })

const UNTRUSTED = 'RATE_LIMIT_UNTRUSTED_PROXY'
const UNTRUSTED_ADVICE =
  'a request has come with X-Forwarded-For or Forwarded, and no proxy is trusted: where this process stands behind one, all clients share its limit. Say how many proxies there are by `trustProxy`'
const PERMISSIVE = 'RATE_LIMIT_PERMISSIVE_PROXY'
const PERMISSIVE_ADVICE =
  'the framework believes X-Forwarded-For whoever has written it: each client can choose its address, and with it its limit. Tell it how many proxies there are, or say so by `trustProxy`'

function hasForwarding(headers) {
  return headers['x-forwarded-for'] !== undefined || headers.forwarded !== undefined
}

function callOptions(action, cost, priority) {
  if (action === undefined && cost === undefined && priority === undefined) return undefined
  const options = {}
  if (action !== undefined) options.action = action
  if (cost !== undefined) options.cost = cost
  if (priority !== undefined) options.priority = priority
  return options
}

const isKey = (key) => (typeof key === 'string' ? key !== '' : typeof key === 'object' && key !== null)

function noKey(key) {
  const given = key === '' ? 'the empty string' : key === undefined ? 'nothing' : `${typeof key}`
  const message = `the request has no key: \`key\` must give a non-empty string, or an object of them, but gave ${given}. Without a \`key\` it is the client's address, which a Unix socket and a test without a connection have not`
  return refusal(TypeError, 'ERR_RATE_LIMIT_KEY', message)
}

/** The client's address, also where the limits say `by` and it is all that they ask for. */
function defaultKey(policies) {
  const names = new Set(policies.map(({ by }) => by).filter((by) => by !== undefined && by !== 'global'))
  if (names.size === 0) return (request, addressOf) => addressOf(request)
  const [field] = names
  if (names.size === 1 && ADDRESS_FIELDS.includes(field)) {
    return (request, addressOf) => {
      const address = addressOf(request)
      return address === undefined ? undefined : { [field]: address }
    }
  }
  const fields = [...names].map((name) => `\`${name}\``).join(', ')
  const message = `\`key\` must be given: the limits count by ${fields}, and only the application knows whom that is`
  throw refusal(TypeError, 'ERR_RATE_LIMIT_OPTION', message)
}

const ADDRESS_FIELDS = ['ip', 'address']

const LONGEST_TIMER_MS = 2 ** 31 - 1

/** Whether the time has passed with the client still there. */
function passes(ms, node) {
  if (node?.destroyed) return false
  return new Promise((resolve) => {
    const end = (isThere) => {
      clearTimeout(timer)
      node?.off('close', leave)
      resolve(isThere)
    }
    const leave = () => end(false)
    const timer = setTimeout(end, Math.min(Math.ceil(ms), LONGEST_TIMER_MS), true)
    node?.once('close', leave)
  })
}

module.exports = { GONE, Guard, SKIPPED }
