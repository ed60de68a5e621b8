/** OpenTelemetry: what its SDK collects of a limiter, and which spans are made of its calls. */

import assert from 'node:assert/strict'
import { AsyncLocalStorage } from 'node:async_hooks'
import { channel } from 'node:diagnostics_channel'
import { describe, test } from 'node:test'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

import { ROOT_CONTEXT, SpanKind, SpanStatusCode, context, metrics, trace as traces } from '@opentelemetry/api'
import {
  AggregationTemporality,
  DataPointType,
  InMemoryMetricExporter,
  MeterProvider,
  PeriodicExportingMetricReader,
} from '@opentelemetry/sdk-metrics'
import { BasicTracerProvider, InMemorySpanExporter, SimpleSpanProcessor } from '@opentelemetry/sdk-trace-base'
import { RateLimiter } from 'distributed-rate-limiter'
import { collectMetrics, histogramProducer, trace } from 'distributed-rate-limiter/opentelemetry'

import { startRedis } from '../scripts/redis.mjs'
import { Observed } from './support/observed.mjs'
import { until } from './support/wait.mjs'

setFlagsFromString('--expose-gc')
const gc = runInNewContext('gc')

/** A MeterProvider whose metrics are kept here; `collect` gives them by their names. */
function meters(t, metricProducers = []) {
  const exporter = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE)
  const reader = new PeriodicExportingMetricReader({ exporter, exportIntervalMillis: 3_600_000, metricProducers })
  const provider = new MeterProvider({ readers: [reader] })
  t.after(() => provider.shutdown())
  return {
    meter: provider.getMeter('test'),
    provider,
    async collect() {
      exporter.reset()
      await provider.forceFlush()
      const scopes = exporter.getMetrics().flatMap(({ scopeMetrics }) => scopeMetrics)
      const all = scopes.flatMap((scope) => scope.metrics)
      return Object.fromEntries(all.map((metric) => [metric.descriptor.name, metric]))
    },
  }
}

const points = ({ dataPoints }) => dataPoints.map(({ attributes, value }) => [attributes, value])

/** What is active for a caller, as an SDK for Node has it. */
class Contexts {
  #storage = new AsyncLocalStorage()
  active = () => this.#storage.getStore() ?? ROOT_CONTEXT
  with = (context, call, self, ...args) => this.#storage.run(context, () => call.apply(self, args))
  bind = (context, target) => target
  enable = () => this
  disable = () => this
}
context.setGlobalContextManager(new Contexts())

/** A tracer whose spans are kept here. */
function tracers() {
  const exporter = new InMemorySpanExporter()
  const provider = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] })
  return { tracer: provider.getTracer('test'), provider, spans: () => exporter.getFinishedSpans() }
}

async function onRedis(t, options) {
  const redis = await startRedis()
  t.after(() => redis.stop())
  const limiter = new RateLimiter({ limit: 1, window: '1h', redisUrl: redis.url, timeout: '5s', ...options })
  t.after(() => limiter.close())
  await limiter.ready()
  return { redis, limiter }
}

describe('metrics', { timeout: 30_000 }, () => {
  test('counters and gauges, with their units and attributes', async (t) => {
    const { meter, collect } = meters(t)
    const limiter = new Observed()
    collectMetrics(limiter, { meter, name: 'api', attributes: { region: 'eu' } })
    const all = await collect()
    const own = { limiter: 'api', region: 'eu' }

    const decisions = all['rate_limiter.decisions']
    assert.equal(decisions.dataPointType, DataPointType.SUM)
    assert.equal(decisions.isMonotonic, true)
    assert.equal(decisions.descriptor.unit, '1')
    assert.deepEqual(points(decisions), [
      [{ ...own, outcome: 'allowed' }, 70],
      [{ ...own, outcome: 'denied' }, 30],
    ])
    assert.deepEqual(points(all['rate_limiter.limit.decisions']), [
      [{ ...own, limit: 'second', outcome: 'allowed' }, 40],
      [{ ...own, limit: 'second', outcome: 'denied' }, 21],
      [{ ...own, limit: 'day', outcome: 'allowed' }, 30],
      [{ ...own, limit: 'day', outcome: 'denied' }, 9],
    ])
    assert.deepEqual(points(all['rate_limiter.shadow.decisions']), [
      [{ ...own, limit: 'candidate', verdict: 'agreed' }, 88],
      [{ ...own, limit: 'candidate', verdict: 'would-deny' }, 5],
      [{ ...own, limit: 'candidate', verdict: 'would-allow' }, 7],
    ])
    const bytes = all['rate_limiter.memory']
    assert.equal(bytes.dataPointType, DataPointType.GAUGE)
    assert.equal(bytes.descriptor.unit, 'By')
    assert.deepEqual(points(bytes), [[own, 4_096]])
    assert.deepEqual(
      points(all['rate_limiter.circuit.state']).filter(([, value]) => value === 1),
      [[{ ...own, state: 'half-open' }, 1]],
    )
    assert.ok(!JSON.stringify(all).includes('mallory'), 'no key is an attribute')
    assert.ok(Object.keys(all).length > 15)
  })

  test('each collection asks once, and takes what is so then', async (t) => {
    const { meter, collect } = meters(t)
    const limiter = new Observed()
    collectMetrics(limiter, { meter })
    assert.equal(limiter.asked, 0)
    await collect()
    assert.equal(limiter.asked, 1)
    limiter.now = { ...limiter.now, allowed: 71 }
    assert.equal(points((await collect())['rate_limiter.decisions'])[0][1], 71)
    assert.equal(limiter.asked, 2)
  })

  test('several limiters of one meter, each until it is closed', async (t) => {
    const { meter, collect } = meters(t)
    const [one, other] = [new Observed(), new Observed({ keys: 24 })]
    collectMetrics(one, { meter, name: 'one' })
    const end = collectMetrics(other, { meter, name: 'other' })
    const keys = async () => points((await collect())['rate_limiter.keys'] ?? { dataPoints: [] })
    assert.deepEqual(await keys(), [
      [{ limiter: 'one' }, 23],
      [{ limiter: 'other' }, 24],
    ])
    // The SDK goes on to report what it was told last, but nobody is asked any more.
    const asked = () => [one.asked, other.asked]
    assert.deepEqual(asked(), [1, 1])
    one.close()
    await keys()
    assert.deepEqual(asked(), [1, 2])
    end()
    await keys()
    assert.deepEqual(asked(), [1, 2])
    assert.equal(other.listenerCount('close'), 0)
  })

  test('histograms, as a reader takes them from a producer', async (t) => {
    const limiter = new Observed()
    const now = () => performance.timeOrigin + performance.now()
    const began = now()
    const producer = histogramProducer(limiter, { name: 'api', attributes: { region: 'eu' } })
    const { collect } = meters(t, [producer])
    const all = await collect()
    const latency = all['rate_limiter.store.latency']
    assert.equal(latency.dataPointType, DataPointType.HISTOGRAM)
    assert.equal(latency.aggregationTemporality, AggregationTemporality.CUMULATIVE)
    assert.equal(latency.descriptor.unit, 's')
    assert.deepEqual(points(latency), [
      [
        { limiter: 'api', region: 'eu' },
        { buckets: { boundaries: [0.001, 0.005, 0.25], counts: [4, 3, 2, 1] }, sum: 1.234, count: 10 },
      ],
    ])
    const [{ startTime, endTime }] = latency.dataPoints
    // In milliseconds, which a double holds to the microsecond.
    const [start, end] = [startTime, endTime].map(([seconds, nanos]) => seconds * 1e3 + nanos / 1e6)
    const moments = [began - 0.001, start, end, now() + 0.001]
    assert.deepEqual(
      moments,
      moments.toSorted((one, other) => one - other),
    )
    assert.ok([startTime, endTime].every(([, nanos]) => Number.isInteger(nanos) && nanos < 1e9))
    assert.deepEqual(points(all['rate_limiter.store.batch.size'])[0][1].buckets.boundaries, [1, 8, 128])
    limiter.close()
    assert.deepEqual(await collect(), {})
  })

  test('the global provider where no meter is given', async (t) => {
    const { provider, collect } = meters(t)
    metrics.setGlobalMeterProvider(provider)
    t.after(() => metrics.disable())
    const limiter = new RateLimiter({ limit: 1, window: '1h' })
    t.after(() => limiter.close())
    collectMetrics(limiter)
    for (const key of ['a', 'a', 'b']) await limiter.isAllowed(key)
    assert.deepEqual(points((await collect())['rate_limiter.decisions']), [
      [{ limiter: 'default', outcome: 'allowed' }, 2],
      [{ limiter: 'default', outcome: 'denied' }, 1],
    ])
  })

  test('a limiter that is dropped can be collected', async (t) => {
    const { meter, collect } = meters(t)
    const { tracer } = tracers()
    const gone = []
    const registry = new FinalizationRegistry((what) => gone.push(what))
    const producers = []
    ;(() => {
      const limiter = new RateLimiter({ limit: 1, window: '1h' })
      registry.register(limiter, 'limiter')
      collectMetrics(limiter, { meter })
      producers.push(histogramProducer(limiter))
      trace(limiter, { tracer })
    })()
    const isGone = () => {
      gc()
      return gone.length > 0 && !channel('distributed-rate-limiter:store').hasSubscribers
    }
    await until(isGone, 'the limiter was collected', 20_000)
    assert.deepEqual(await collect(), {})
    assert.deepEqual((await producers[0].collect()).resourceMetrics.scopeMetrics, [])
  })
})

describe('spans', { timeout: 30_000 }, () => {
  test('one for each call that is asked of Redis, within the span of the caller', async (t) => {
    const { limiter } = await onRedis(t, { limit: 2 })
    const { tracer, spans } = tracers()
    trace(limiter, { tracer, name: 'api', attributes: { region: 'eu' } })
    const request = tracer.startSpan('request')
    await context.with(traces.setSpan(context.active(), request), async () => {
      assert.equal((await limiter.check('a')).allowed, true)
      assert.equal(await limiter.isAllowed('a'), true)
      assert.equal((await limiter.check('a')).allowed, false)
      assert.equal((await limiter.check('a')).source, 'deny-cache')
      await limiter.reset('a')
    })
    const made = spans().map(({ name, kind, attributes }) => ({ name, kind, attributes }))
    const own = { limiter: 'api', region: 'eu' }
    const kind = SpanKind.CLIENT
    assert.deepEqual(made, [
      {
        name: 'rate_limiter check',
        kind,
        attributes: { ...own, call: 'check', outcome: 'allowed', source: 'redis' },
      },
      { name: 'rate_limiter isAllowed', kind, attributes: { ...own, call: 'isAllowed', outcome: 'allowed' } },
      { name: 'rate_limiter check', kind, attributes: { ...own, call: 'check', outcome: 'denied', source: 'redis' } },
      { name: 'rate_limiter reset', kind, attributes: { ...own, call: 'reset' } },
    ])
    for (const span of spans()) {
      assert.equal(span.parentSpanContext.spanId, request.spanContext().spanId)
      assert.equal(span.spanContext().traceId, request.spanContext().traceId)
      assert.equal(span.status.code, SpanStatusCode.UNSET)
      assert.ok(!JSON.stringify(span.attributes).includes('"a"'), 'no key is told')
    }
  })

  test('calls under way at once are each within their own caller', async (t) => {
    const { limiter } = await onRedis(t, { limit: 100 })
    const { tracer, spans } = tracers()
    trace(limiter, { tracer })
    const requests = Array.from({ length: 8 }, () => tracer.startSpan('request'))
    await Promise.all(
      requests.map((request) => context.with(traces.setSpan(ROOT_CONTEXT, request), () => limiter.check('one key'))),
    )
    const parents = spans().map(({ parentSpanContext }) => parentSpanContext.spanId)
    assert.deepEqual(parents.sort(), requests.map((request) => request.spanContext().spanId).sort())
  })

  test('the limit that decided, where there are several', async (t) => {
    const limits = [
      { name: 'second', limit: 9, window: '1s' },
      { name: 'day', limit: 1, window: '1d' },
    ]
    const { limiter } = await onRedis(t, { limit: undefined, window: undefined, limits })
    const { tracer, spans } = tracers()
    trace(limiter, { tracer })
    await limiter.check('a')
    assert.equal(spans()[0].attributes.limit, 'day')
  })

  test('none of what this process decides', async (t) => {
    const limiter = new RateLimiter({ limit: 1, window: '1h' })
    t.after(() => limiter.close())
    const { tracer, spans } = tracers()
    trace(limiter, { tracer })
    await limiter.isAllowed('a')
    await limiter.check('a')
    await limiter.reset('a')
    assert.deepEqual(spans(), [])
  })

  test('a call that the store did not decide is an error, and what is decided while it is away is no call', async (t) => {
    const { redis, limiter } = await onRedis(t, { timeout: 150 })
    const { tracer, spans } = tracers()
    trace(limiter, { tracer })
    redis.process.kill('SIGSTOP')
    while (limiter.stats().store === 'up') assert.equal((await limiter.check('a')).source, 'fallback')
    const late = spans().length
    assert.ok(late > 0)
    for (const { status, attributes } of spans()) {
      assert.equal(status.code, SpanStatusCode.ERROR)
      assert.equal(attributes.source, 'fallback')
    }
    assert.equal((await limiter.check('a')).source, 'fallback')
    assert.equal(spans().length, late)
  })

  test("a store's error is the span's, and still the caller's", async (t) => {
    const { redis, limiter } = await onRedis(t, { timeout: 150, onStoreError: 'throw' })
    const { tracer, spans } = tracers()
    trace(limiter, { tracer })
    redis.process.kill('SIGSTOP')
    await assert.rejects(limiter.check('a'), { code: 'ERR_RATE_LIMIT_STORE_TIMEOUT' })
    const [{ status, attributes, events }] = spans()
    assert.equal(status.code, SpanStatusCode.ERROR)
    assert.equal(attributes['error.type'], 'ERR_RATE_LIMIT_STORE_TIMEOUT')
    assert.equal(events[0].name, 'exception')
  })

  test('ends by its function, by close, and is once a limiter', async (t) => {
    const { limiter } = await onRedis(t, { limit: 100 })
    const { tracer, spans } = tracers()
    const end = trace(limiter, { tracer })
    assert.throws(() => trace(limiter, { tracer }), { code: 'ERR_RATE_LIMIT_OPTION' })
    end()
    end()
    await limiter.check('a')
    assert.deepEqual(spans(), [])
    trace(limiter, { tracer })
    await limiter.check('a')
    assert.equal(spans().length, 1)
    assert.equal(channel('distributed-rate-limiter:store').hasSubscribers, true)
    await limiter.close()
    await new Promise(setImmediate)
    assert.equal(channel('distributed-rate-limiter:store').hasSubscribers, false, 'nobody pays any more')
  })

  test('another limiter is not traced', async (t) => {
    const { redis, limiter } = await onRedis(t)
    const other = new RateLimiter({ limit: 1, window: '1h', redisUrl: redis.url, prefix: 'other' })
    t.after(() => other.close())
    await other.ready()
    const { provider, spans } = tracers()
    traces.setGlobalTracerProvider(provider)
    t.after(() => traces.disable())
    trace(limiter)
    await other.check('a')
    assert.deepEqual(spans(), [])
    await limiter.check('a')
    assert.equal(spans().length, 1)
    assert.equal(spans()[0].instrumentationScope.name, 'distributed-rate-limiter')
  })
})

describe('refused', () => {
  for (const [name, make] of Object.entries({ collectMetrics, histogramProducer, trace })) {
    for (const [what, limiter, options, code = 'ERR_RATE_LIMIT_OPTION'] of [
      ['no limiter', {}, {}],
      ['options that are none', new Observed(), null],
      ['a misspelt option', new Observed(), { nmae: 'api' }, 'ERR_RATE_LIMIT_UNKNOWN_OPTION'],
      ['an empty name', new Observed(), { name: '' }],
      ['attributes that are none', new Observed(), { attributes: 'eu' }],
    ]) {
      test(`${name}: ${what}`, () => {
        assert.throws(() => make(limiter, options), { code })
        assert.equal(channel('distributed-rate-limiter:store').hasSubscribers, false)
      })
    }
  }
})
