// A limiter's metrics in a registry of prom-client, read from `stats()` whenever they are scraped: a decision pays nothing.
'use strict'

const { badOption, refusal } = require('../lib/errors.js')
const { own } = require('../lib/own.js')
const { METRICS } = require('./metrics.js')
const { read, readName } = require('./options.js')
const { assertLimiter, untilClosed } = require('./watched.js')

const NAME = /^[a-zA-Z_:][a-zA-Z0-9_:]*$/
const LABEL = /^(?!__)[a-zA-Z_][a-zA-Z0-9_]*$/
const TAKEN = new Set(['limiter', 'le', ...METRICS.flatMap(({ labels = [] }) => labels)])
const MOST_TOP_DENIED = 20
const UNITS = { s: '_seconds', By: '_bytes' }

/** Of each registry what is collected there, by prefix. */
const collections = new WeakMap()

/**
 * Adds `limiter` to what `registry` collects, until the limiter is closed or dropped, or until the function that this returns is
 * called.
 */
function collectMetrics(limiter, options = {}) {
  assertLimiter(limiter)
  const { registry, name, prefix, labels, most } = readOptions(options)
  const collection = collectionOf(registry, prefix)
  const entry = collection.add(limiter, { name, labels, most })
  return untilClosed(limiter, () => collection.delete(name, entry))
}

function readOptions(options) {
  const given = read(options, ['registry', 'name', 'prefix', 'labels', 'topDenied'])
  const { prefix = 'rate_limiter_', labels = {}, topDenied: most = 0 } = given
  // Only here, so that whoever brings a registry needs no second copy of the package.
  const registry = given.registry ?? require('prom-client').register
  if (typeof registry?.registerMetric !== 'function') {
    throw badOption(TypeError, 'registry', 'a Registry of prom-client', registry)
  }
  const name = readName(given.name)
  if (typeof prefix !== 'string' || !NAME.test(`${prefix}keys`)) {
    throw badOption(TypeError, 'prefix', 'letters, digits, _ and :, not beginning with a digit', prefix)
  }
  if (typeof labels !== 'object' || labels === null) throw badOption(TypeError, 'labels', 'an object', labels)
  for (const [label, value] of Object.entries(labels)) {
    if (!LABEL.test(label) || TAKEN.has(label)) {
      throw badOption(RangeError, 'labels', 'an object of names that labels may have, none of them one of ours', label)
    }
    if (typeof value !== 'string') throw badOption(TypeError, `labels.${label}`, 'a string', value)
  }
  if (!Number.isInteger(most) || most < 0 || most > MOST_TOP_DENIED) {
    throw badOption(RangeError, 'topDenied', `a whole number from 0 to ${MOST_TOP_DENIED}`, most)
  }
  return { registry, name, prefix, labels: own(labels), most }
}

function collectionOf(registry, prefix) {
  let byPrefix = collections.get(registry)
  if (byPrefix === undefined) collections.set(registry, (byPrefix = new Map()))
  let collection = byPrefix.get(prefix)
  if (collection === undefined) byPrefix.set(prefix, (collection = new Collection(registry, prefix)))
  return collection
}

/** The limiters that one registry collects under one prefix, and their metrics there while there are any. */
class Collection {
  #registry
  #limiters = new Map()
  #metrics
  #now

  constructor(registry, prefix) {
    // Weakly: it is the registry that this belongs to.
    this.#registry = new WeakRef(registry)
    this.#metrics = METRICS.map((definition) => new Metric(this, prefix, definition))
  }

  add(limiter, { name, labels, most }) {
    this.#register()
    if (this.#limiters.get(name)?.held.deref() !== undefined) {
      const message = `\`name\` must be another one: this registry collects a limiter '${name}' already`
      throw refusal(Error, 'ERR_RATE_LIMIT_OPTION', message)
    }
    const entry = { held: new WeakRef(limiter), labels: { limiter: name, ...labels }, most }
    this.#limiters.set(name, entry)
    return entry
  }

  /** Nothing where another limiter has the name by now, since this one was dropped and is collected late. */
  delete(name, entry) {
    if (this.#limiters.get(name) !== entry) return
    this.#limiters.delete(name)
    if (this.#limiters.size === 0) this.#unregister()
  }

  /**
   * What each limiter says now, and the labels that it has. A registry asks all of its metrics within one tick: they are told of one
   * moment, and each limiter is asked once.
   */
  snapshots() {
    if (this.#now === undefined) {
      this.#now = []
      for (const { held, labels, most } of this.#limiters.values()) {
        const limiter = held.deref()
        if (limiter !== undefined) this.#now.push({ stats: limiter.stats(), labels, most })
      }
      queueMicrotask(() => (this.#now = undefined))
    }
    return this.#now
  }

  #register() {
    const registry = this.#registry.deref()
    const missing = this.#metrics.filter((metric) => registry.getSingleMetric(metric.id) !== metric)
    // A registry that was cleared has forgotten the limiters, too.
    if (missing.length === this.#metrics.length) this.#limiters.clear()
    try {
      for (const metric of missing) {
        metric.name = metric.id
        registry.registerMetric(metric)
      }
    } catch (error) {
      if (this.#limiters.size === 0) this.#unregister()
      throw error
    }
  }

  #unregister() {
    const registry = this.#registry.deref()
    for (const metric of this.#metrics) {
      if (registry?.getSingleMetric(metric.id) === metric) registry.removeSingleMetric(metric.id)
    }
  }
}

/** A metric as a registry of prom-client asks for it. Its own classes count by themselves; here Rust has counted. */
class Metric {
  #collection
  #read

  constructor(collection, prefix, { name, kind, unit, labels = [], merge = 'sum', help, read }) {
    this.#collection = collection
    this.#read = read
    this.id = `${prefix}${name.replaceAll('.', '_')}${UNITS[unit] ?? ''}${kind === 'counter' ? '_total' : ''}`
    // A registry that speaks OpenMetrics takes `_total` away from it.
    this.name = this.id
    this.type = kind
    this.help = help
    this.aggregator = merge
    this.labelNames = ['limiter', ...labels]
  }

  async get() {
    const { name, help, type, aggregator } = this
    const valuesOf = type === 'histogram' ? this.#buckets : this.#values
    const values = this.#collection.snapshots().flatMap((snapshot) => valuesOf.call(this, snapshot))
    return { name, help, type, aggregator, values }
  }

  /** What was counted stays counted: it is the limiter's. */
  reset() {}

  #values({ stats, labels, most }) {
    return this.#read(stats, most).map(([own, value]) => ({ labels: { ...labels, ...own }, value }))
  }

  #buckets({ stats, labels }) {
    const { bounds, counts, sum, count } = this.#read(stats)
    let below = 0
    const buckets = counts.map((inBucket, index) => ({
      metricName: `${this.name}_bucket`,
      labels: { ...labels, le: bounds[index] ?? '+Inf' },
      value: (below += inBucket),
    }))
    return [
      ...buckets,
      { metricName: `${this.name}_sum`, labels, value: sum },
      { metricName: `${this.name}_count`, labels, value: count },
    ]
  }
}

module.exports = { collectMetrics }
