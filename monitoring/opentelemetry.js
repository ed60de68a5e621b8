// A limiter's metrics and store calls by OpenTelemetry: metrics are read from `stats()` whenever they are collected, spans are made
// of calls that are asked of the store, and a decision of this process pays for neither.
'use strict'

const { SpanKind, SpanStatusCode, metrics, trace: traces } = require('@opentelemetry/api')
const { version } = require('../package.json')
const { store } = require('../lib/channels.js')
const { badOption, refusal } = require('../lib/errors.js')
const { METRICS } = require('./metrics.js')
const { read, readName } = require('./options.js')
const { assertLimiter, untilClosed } = require('./watched.js')

const SCOPE = 'distributed-rate-limiter'
const UNDECIDED = 'the store was late or failed, and the fallback has decided'
// As the package of the SDK numbers them, which an application without metrics does not have.
const CUMULATIVE = 1
const HISTOGRAM = 0
const DOUBLE = 1

const HISTOGRAMS = METRICS.filter(({ kind }) => kind === 'histogram')
// Keys are of any number, and attributes are kept for ever.
const NUMBERS = METRICS.filter(({ kind, labels = [] }) => kind !== 'histogram' && !labels.includes('key'))

/**
 * Has `limiter`'s counters and gauges collected by `meter`, until the limiter is closed or dropped, or until the function that this
 * returns is called.
 */
function collectMetrics(limiter, options = {}) {
  assertLimiter(limiter)
  const { meter = metrics.getMeter(SCOPE, version), ...rest } = read(options, ['meter', 'name', 'attributes'])
  const attributes = attributesOf(rest)
  const held = new WeakRef(limiter)
  const instruments = NUMBERS.map((metric) => [metric, instrumentOf(meter, metric)])
  const observables = instruments.map(([, instrument]) => instrument)
  const observe = (result) => {
    const stats = held.deref()?.stats()
    if (stats === undefined) return
    for (const [{ read }, instrument] of instruments) {
      for (const [labels, value] of read(stats)) result.observe(instrument, value, { ...attributes, ...labels })
    }
  }
  meter.addBatchObservableCallback(observe, observables)
  return untilClosed(limiter, () => meter.removeBatchObservableCallback(observe, observables))
}

function instrumentOf(meter, { name, kind, unit = '1', help }) {
  const options = { description: help, unit }
  const own = nameOf(name)
  return kind === 'counter' ? meter.createObservableCounter(own, options) : meter.createObservableGauge(own, options)
}

const nameOf = (name) => `rate_limiter.${name}`

/**
 * `limiter`'s histograms as one of the `metricProducers` of a MetricReader: instruments of the API can only be told single values, and
 * Rust has counted them already. Empty once the limiter is closed or dropped.
 */
function histogramProducer(limiter, options = {}) {
  assertLimiter(limiter)
  const attributes = attributesOf(read(options, ['name', 'attributes']))
  const startTime = hrTime()
  let held = new WeakRef(limiter)
  untilClosed(limiter, () => (held = undefined))
  const dataOf = (stats, endTime) =>
    HISTOGRAMS.map(({ name, unit = '1', help, read }) => {
      const { bounds, counts, sum, count } = read(stats)
      const value = { buckets: { boundaries: bounds, counts }, sum, count }
      return {
        descriptor: { name: nameOf(name), description: help, unit, valueType: DOUBLE },
        aggregationTemporality: CUMULATIVE,
        dataPointType: HISTOGRAM,
        dataPoints: [{ startTime, endTime, attributes, value }],
      }
    })
  return {
    async collect() {
      const stats = held?.deref()?.stats()
      const scopeMetrics =
        stats === undefined ? [] : [{ scope: { name: SCOPE, version }, metrics: dataOf(stats, hrTime()) }]
      // A reader keeps the resource of its own SDK.
      return { resourceMetrics: { resource: undefined, scopeMetrics }, errors: [] }
    },
  }
}

/** The present as OpenTelemetry counts it: seconds since 1970, and nanoseconds. */
function hrTime() {
  const ms = performance.timeOrigin + performance.now()
  const seconds = Math.floor(ms / 1_000)
  return [seconds, Math.floor((ms - seconds * 1_000) * 1e6)]
}

/** Of each limiter that is traced how its spans are made. */
const traced = new WeakMap()
let many = 0

/**
 * Makes a span of each call that is asked of `limiter`'s store, from when it was made to its answer, within the span that is active for
 * the caller; none of what this process decides. Until the limiter is closed or dropped, or until the function that this returns is
 * called.
 */
function trace(limiter, options = {}) {
  assertLimiter(limiter)
  const { tracer = traces.getTracer(SCOPE, version), ...rest } = read(options, ['tracer', 'name', 'attributes'])
  if (traced.has(limiter)) {
    throw refusal(Error, 'ERR_RATE_LIMIT_OPTION', 'this limiter is traced already, and each call would be two spans')
  }
  traced.set(limiter, { tracer, attributes: attributesOf(rest) })
  many += 1
  if (many === 1) store.subscribe(onAsked)
  const held = new WeakRef(limiter)
  return untilClosed(limiter, () => {
    const limiter = held.deref()
    if (limiter !== undefined) traced.delete(limiter)
    many -= 1
    if (many === 0) store.unsubscribe(onAsked)
  })
}

/** Told within the call itself, so that what is active is the caller's. */
function onAsked({ limiter, call, answer }) {
  const how = traced.get(limiter)
  if (how === undefined) return
  const attributes = { ...how.attributes, call }
  const span = how.tracer.startSpan(`rate_limiter ${call}`, { kind: SpanKind.CLIENT, attributes })
  answer.then(
    (told) => {
      if (span.isRecording()) span.setAttributes(attributesOfAnswer(told))
      if (told?.source === 'fallback') span.setStatus({ code: SpanStatusCode.ERROR, message: UNDECIDED })
      span.end()
    },
    (error) => {
      span.recordException(error)
      span.setStatus({ code: SpanStatusCode.ERROR, message: error.message })
      if (error.code !== undefined) span.setAttribute('error.type', error.code)
      span.end()
    },
  )
}

/** A boolean, a decision, or nothing. Never the key: it may be a person's. */
function attributesOfAnswer(told) {
  if (typeof told === 'boolean') return { outcome: outcomeOf(told) }
  if (typeof told !== 'object' || told === null) return {}
  const { allowed, source, name } = told
  return { outcome: outcomeOf(allowed), source, ...(name === undefined ? {} : { limit: name }) }
}

const outcomeOf = (allowed) => (allowed ? 'allowed' : 'denied')

function attributesOf({ name, attributes = {} }) {
  if (typeof attributes !== 'object' || attributes === null) {
    throw badOption(TypeError, 'attributes', 'an object', attributes)
  }
  return { ...attributes, limiter: readName(name) }
}

module.exports = { collectMetrics, histogramProducer, trace }
