// Policies that a fleet shares: which of those that Redis tells of are in force here, and how others are stored.
'use strict'

const { createHash } = require('node:crypto')
const native = require('../native.js')
const { badOption, refusal } = require('../errors.js')
const { own } = require('../own.js')

/** What belongs to a limiter itself: where it asks and how. A document says limits, and none of these. */
const FIXED = new Set(native.fixedOptions)

/** What stands in a document beside its limits. */
const ABOUT = new Set(['$schema', 'version'])

/** Bytes. It is one value in Redis, which every process reads as a whole. */
const LONGEST = 8 * 2 ** 20

const sumOf = (text) => createHash('sha256').update(text).digest('hex')
const only = (object, fits) => Object.fromEntries(Object.entries(object).filter(([name]) => fits(name)))

/** A damage, or whatever else is wrong with what is stored. */
const invalid = (message, cause) =>
  Object.assign(refusal(Error, 'ERR_RATE_LIMIT_POLICIES', message), cause === undefined ? {} : { cause })

/** Whether `policies` says where limits are shared, and not what they are called. */
function isSharing(policies) {
  if (policies === 'shared') return true
  return Object(policies) === policies && typeof policies.shared === 'string' && Object.hasOwn(policies, 'shared')
}

/** Whether a limiter's options, which its constructor has taken, say that it shares its policies. */
function sharesPolicies(options) {
  const policies = Object.hasOwn(options, 'policies') ? options.policies : undefined
  return isSharing(policies)
}

/** The limits that a document describes, as options of a limiter. */
function limitsOf(document) {
  if (typeof document !== 'object' || document === null || Array.isArray(document)) {
    throw badOption(TypeError, 'document', "an object such as { limit: 100, window: '1m' }", document)
  }
  const foreign = Object.keys(document).find((name) => FIXED.has(name))
  if (foreign !== undefined) {
    throw refusal(
      TypeError,
      'ERR_RATE_LIMIT_UNKNOWN_OPTION',
      `\`${foreign}\` is each limiter's own, and not among its policies: give it to the constructor`,
    )
  }
  if (Object.hasOwn(document, 'version') && document.version !== 1) {
    throw badOption(RangeError, 'version', '1, the only form of a document that there is', document.version)
  }
  if (typeof document.policies === 'string' || isSharing(document.policies)) {
    throw badOption(TypeError, 'policies', 'an object of limits with names', document.policies)
  }
  return only(document, (name) => !ABOUT.has(name))
}

class SharedPolicies {
  #options
  #deeds
  #inForce = { version: 0, at: 0, sum: '', text: undefined, since: Date.now() }
  /** The tag of what was refused last: each is told once. */
  #refused

  /**
   * Of a limiter with these options. `apply(limits)` puts limits into force, or throws and leaves those that are; `publish(asked)` asks
   * `lua/policies.lua` and promises its answer, of which `heard` has been told by then; `refuse(error)` tells of what is no policy.
   */
  constructor(options, { apply, publish, refuse }) {
    this.#options = only(own(options), (name) => FIXED.has(name))
    this.#deeds = { apply, publish, refuse }
  }

  /** Takes in what Redis says. Never throws: what cannot be in force leaves in force what is. */
  heard([tag, , kind, ...details]) {
    if (kind === 'same') return
    try {
      if (kind === 'stored') this.#take(details)
      else this.#miss(kind, details)
      this.#refused = undefined
    } catch (error) {
      if (tag === this.#refused) return
      this.#refused = tag
      this.#deeds.refuse(error)
    }
  }

  /** Stores a document for all. Resolves when it is stored, and in force here. */
  async publish(document, options) {
    const { ifVersion, text } = this.#read(document, options)
    const asked = `+${ifVersion ?? ''},${this.#inForce.version},${sumOf(text)},${text}`
    const [, outcome, kind, ...details] = await this.#deeds.publish(asked)
    if (outcome === 'written') return { version: Number(details[0]) }
    if (kind === 'damaged') throw notReadable(details[0])
    const version = Math.max(kind === 'stored' ? wholeOf(details[0]) : 0, this.#inForce.version)
    const message = `the version is ${version}, and not ${ifVersion}: read what is in force, change that, and publish it with its version`
    throw Object.assign(refusal(Error, 'ERR_RATE_LIMIT_POLICIES_CONFLICT', message), { version })
  }

  /** What is in force here. */
  current() {
    const { version, at, text, since } = this.#inForce
    const document = text === undefined ? null : JSON.parse(text)
    return { version, document, since, publishedAt: version === 0 ? null : at / 1_000 }
  }

  /** That of what is in force here, 0 while it is the constructor's. */
  get version() {
    return this.#inForce.version
  }

  /** Nothing is stored, or nothing that can be read. */
  #miss(kind, [why]) {
    if (kind !== 'none') throw notReadable(why)
    const { version } = this.#inForce
    if (version > 0) {
      throw invalid(`Redis holds no policies any more: version ${version} stays in force here, so publish it again`)
    }
  }

  #take([version, text, sum, at]) {
    const stored = { version: wholeOf(version), at: wholeOf(at), sum, text }
    if (stored.version === 0 || stored.at === 0 || sum === '' || text === '') {
      throw invalid('the policies in Redis lack a field, or have one that is no number: publish them again')
    }
    if (sumOf(text) !== sum) {
      throw invalid(`version ${version} of the policies was damaged, as its sum says: publish it again`)
    }
    const before = this.#inForce
    if (stored.version === before.version && sum === before.sum) {
      this.#inForce = { ...before, at: stored.at }
      return
    }
    // Either is enough: a Redis that has lost everything counts from 1 again, and its clock may have been set back.
    if (stored.version <= before.version && stored.at <= before.at) {
      throw invalid(
        `Redis has gone back to version ${version} of the policies: version ${before.version} stays in force here, so publish it again`,
      )
    }
    // Before it is applied, so that who is told of a change can ask which it is.
    this.#inForce = { ...stored, since: Date.now() }
    try {
      this.#deeds.apply(limitsOf(JSON.parse(text)))
    } catch (error) {
      this.#inForce = before
      throw invalid(`version ${version} of the policies cannot be in force here: ${error.message}`, error)
    }
  }

  /** What is to be published, after the constructor's own checks. */
  #read(document, options = {}) {
    if (typeof options !== 'object' || options === null) {
      throw badOption(TypeError, 'options', 'an object such as { ifVersion: 3 }', options)
    }
    const { ifVersion, ...others } = own(options)
    const [unknown] = Object.keys(others)
    if (unknown !== undefined) {
      const message = `\`${unknown}\` is no option of publishPolicies: there is ifVersion`
      throw refusal(TypeError, 'ERR_RATE_LIMIT_UNKNOWN_OPTION', message)
    }
    if (ifVersion !== undefined && !(Number.isSafeInteger(ifVersion) && ifVersion >= 0)) {
      const Kind = typeof ifVersion === 'number' ? RangeError : TypeError
      throw badOption(Kind, 'ifVersion', 'a version: a whole number, 0 where nothing is stored yet', ifVersion)
    }
    limitsOf(document)
    const text = textOf(document)
    // What all others will read is judged, and not what was given: the two may differ.
    native.checkOptions({ ...this.#options, ...limitsOf(JSON.parse(text)) })
    return { ifVersion, text }
  }
}

function textOf(document) {
  let text
  try {
    text = JSON.stringify(document)
  } catch (error) {
    throw refusal(TypeError, 'ERR_RATE_LIMIT_OPTION', `\`document\` must be what JSON can say: ${error.message}`)
  }
  if (text === undefined) throw badOption(TypeError, 'document', 'what JSON can say', document)
  const bytes = Buffer.byteLength(text)
  if (bytes <= LONGEST) return text
  const message = `\`document\` must be at most ${LONGEST} bytes of JSON, but ${bytes} were given: put some of it under another name`
  throw refusal(RangeError, 'ERR_RATE_LIMIT_OPTION', message)
}

/** A whole number that was written in digits; 0 for anything else. */
function wholeOf(text) {
  const number = /^\d{1,16}$/.test(text) ? Number(text) : 0
  return Number.isSafeInteger(number) ? number : 0
}

const notReadable = (why) =>
  invalid(
    `the policies in Redis cannot be read (${why}): see that the user may read them, or delete what else lies under their key`,
  )

/** For a limiter that shares none. */
function sharesNone(name) {
  const message = `${name} is for a limiter whose policies are shared: give \`policies: 'shared'\` and a Redis`
  return refusal(Error, 'ERR_RATE_LIMIT_UNSUPPORTED', message)
}

module.exports = { SharedPolicies, sharesNone, sharesPolicies }
