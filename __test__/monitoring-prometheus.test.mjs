/** A limiter's metrics in registries of prom-client: names, labels, values, and when they come and go. */

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { describe, test } from 'node:test'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

import { RateLimiter } from 'distributed-rate-limiter'
import { collectMetrics } from 'distributed-rate-limiter/prometheus'
import { AggregatorRegistry, Counter, Registry, register } from 'prom-client'

import { Observed } from './support/observed.mjs'
import { until } from './support/wait.mjs'

setFlagsFromString('--expose-gc')
const gc = runInNewContext('gc')

/** The lines of a registry's text, without comments, by what stands before the value. */
async function valuesOf(registry) {
  const lines = (await registry.metrics()).split('\n').filter((line) => line !== '' && !line.startsWith('#'))
  return Object.fromEntries(lines.map((line) => [line.slice(0, line.lastIndexOf(' ')), line.split(' ').at(-1)]))
}

const namesOf = (registry) => registry.getMetricsAsArray().map(({ name }) => name)

describe('values', () => {
  test('everything that stats() tells', async () => {
    const registry = new Registry()
    collectMetrics(new Observed(), { registry, name: 'api' })
    assert.deepEqual(await valuesOf(registry), {
      'rate_limiter_decisions_total{limiter="api",outcome="allowed"}': '70',
      'rate_limiter_decisions_total{limiter="api",outcome="denied"}': '30',
      'rate_limiter_source_decisions_total{limiter="api",source="redis"}': '50',
      'rate_limiter_source_decisions_total{limiter="api",source="memory"}': '0',
      'rate_limiter_source_decisions_total{limiter="api",source="fallback"}': '20',
      'rate_limiter_source_decisions_total{limiter="api",source="client"}': '0',
      'rate_limiter_source_decisions_total{limiter="api",source="deny-cache"}': '25',
      'rate_limiter_source_decisions_total{limiter="api",source="lease"}': '5',
      'rate_limiter_source_decisions_total{limiter="api",source="shared"}': '0',
      'rate_limiter_source_decisions_total{limiter="api",source="list"}': '0',
      'rate_limiter_limit_decisions_total{limiter="api",limit="second",outcome="allowed"}': '40',
      'rate_limiter_limit_decisions_total{limiter="api",limit="second",outcome="denied"}': '21',
      'rate_limiter_limit_decisions_total{limiter="api",limit="day",outcome="allowed"}': '30',
      'rate_limiter_limit_decisions_total{limiter="api",limit="day",outcome="denied"}': '9',
      'rate_limiter_action_decisions_total{limiter="api",action="post",outcome="allowed"}': '7',
      'rate_limiter_action_decisions_total{limiter="api",action="post",outcome="denied"}': '3',
      'rate_limiter_action_decisions_total{limiter="api",action="other",outcome="allowed"}': '2',
      'rate_limiter_action_decisions_total{limiter="api",action="other",outcome="denied"}': '1',
      'rate_limiter_shadow_decisions_total{limiter="api",limit="candidate",verdict="agreed"}': '88',
      'rate_limiter_shadow_decisions_total{limiter="api",limit="candidate",verdict="would-deny"}': '5',
      'rate_limiter_shadow_decisions_total{limiter="api",limit="candidate",verdict="would-allow"}': '7',
      'rate_limiter_store_errors_total{limiter="api"}': '11',
      'rate_limiter_store_latency_seconds_bucket{limiter="api",le="0.001"}': '4',
      'rate_limiter_store_latency_seconds_bucket{limiter="api",le="0.005"}': '7',
      'rate_limiter_store_latency_seconds_bucket{limiter="api",le="0.25"}': '9',
      'rate_limiter_store_latency_seconds_bucket{limiter="api",le="+Inf"}': '10',
      'rate_limiter_store_latency_seconds_sum{limiter="api"}': '1.234',
      'rate_limiter_store_latency_seconds_count{limiter="api"}': '10',
      'rate_limiter_store_batch_size_bucket{limiter="api",le="1"}': '6',
      'rate_limiter_store_batch_size_bucket{limiter="api",le="8"}': '11',
      'rate_limiter_store_batch_size_bucket{limiter="api",le="128"}': '11',
      'rate_limiter_store_batch_size_bucket{limiter="api",le="+Inf"}': '12',
      'rate_limiter_store_batch_size_sum{limiter="api"}': '300',
      'rate_limiter_store_batch_size_count{limiter="api"}': '12',
      'rate_limiter_store_batches_total{limiter="api"}': '13',
      'rate_limiter_store_merged_calls_total{limiter="api"}': '17',
      'rate_limiter_store_pending_calls{limiter="api"}': '19',
      'rate_limiter_store_state{limiter="api",state="none"}': '0',
      'rate_limiter_store_state{limiter="api",state="connecting"}': '0',
      'rate_limiter_store_state{limiter="api",state="up"}': '1',
      'rate_limiter_store_state{limiter="api",state="down"}': '0',
      'rate_limiter_circuit_state{limiter="api",state="none"}': '0',
      'rate_limiter_circuit_state{limiter="api",state="closed"}': '0',
      'rate_limiter_circuit_state{limiter="api",state="open"}': '0',
      'rate_limiter_circuit_state{limiter="api",state="half-open"}': '1',
      'rate_limiter_circuit_opened_total{limiter="api"}': '2',
      'rate_limiter_store_told_keys_total{limiter="api"}': '6',
      'rate_limiter_fleet_instances{limiter="api"}': '8',
      'rate_limiter_keys{limiter="api"}': '23',
      'rate_limiter_memory_bytes{limiter="api"}': '4096',
      'rate_limiter_leased_keys{limiter="api"}': '3',
      'rate_limiter_leased_units{limiter="api"}': '55',
      'rate_limiter_policies_version{limiter="api"}': '21',
      'rate_limiter_policies_changes_total{limiter="api"}': '9',
      'rate_limiter_policies_invalid_total{limiter="api"}': '14',
    })
  })

  test('what a real limiter has decided', async (t) => {
    const limiter = new RateLimiter({ limit: 2, window: '1h', actions: { post: { limit: 1, window: '1h' } } })
    t.after(() => limiter.close())
    const registry = new Registry()
    collectMetrics(limiter, { registry, topDenied: 20 })
    for (const key of ['a', 'a', 'a', 'b']) await limiter.isAllowed(key)
    for (const key of ['a', 'a']) await limiter.check(key, { action: 'post' })
    const values = await valuesOf(registry)
    const of = (name) => Number(values[`rate_limiter_${name}`])
    assert.equal(of('decisions_total{limiter="default",outcome="allowed"}'), 4)
    assert.equal(of('decisions_total{limiter="default",outcome="denied"}'), 2)
    assert.equal(of('source_decisions_total{limiter="default",source="memory"}'), 6)
    assert.equal(of('action_decisions_total{limiter="default",action="post",outcome="denied"}'), 1)
    assert.equal(of('circuit_state{limiter="default",state="none"}'), 1)
    assert.equal(of('keys{limiter="default"}'), 3)
    assert.ok(of('memory_bytes{limiter="default"}') > 0)
    assert.equal(of('store_latency_seconds_count{limiter="default"}'), 0)
    assert.equal(of('fleet_instances{limiter="default"}'), NaN, 'nothing is said where nothing is known')
    const [denied] = Object.keys(values).filter((name) => name.includes('key="a"'))
    assert.match(denied, /^rate_limiter_top_denied_calls\{/)
  })

  test('keys only for who asks for them, and only so many', async () => {
    const registry = new Registry()
    const keys = async () => Object.entries(await valuesOf(registry)).filter(([name]) => name.includes('key='))
    const end = collectMetrics(new Observed(), { registry })
    assert.deepEqual(await keys(), [])
    end()
    collectMetrics(new Observed(), { registry, topDenied: 2 })
    assert.deepEqual(await keys(), [
      ['rate_limiter_top_denied_calls{limiter="default",key="mallory"}', '20'],
      ['rate_limiter_top_denied_calls{limiter="default",key="eve \\"the\\n\\" ear"}', '9'],
    ])
  })

  test('each name has the type and the suffix of its kind', async () => {
    const registry = new Registry()
    collectMetrics(new Observed(), { registry })
    const types = [...(await registry.metrics()).matchAll(/^# TYPE (\S+) (\S+)$/gm)]
    assert.ok(types.length > 15)
    for (const [, name, type] of types) {
      assert.equal(name.endsWith('_total'), type === 'counter', name)
      assert.ok(['counter', 'gauge', 'histogram'].includes(type), type)
    }
  })

  test('in the words of OpenMetrics', async () => {
    const registry = new Registry(Registry.OPENMETRICS_CONTENT_TYPE)
    const end = collectMetrics(new Observed(), { registry })
    for (let scrape = 0; scrape < 2; scrape += 1) {
      const text = await registry.metrics()
      assert.match(text, /^# TYPE rate_limiter_decisions counter$/m)
      assert.match(text, /^rate_limiter_decisions_total\{limiter="default",outcome="denied"\} 30$/m)
      assert.ok(!text.includes('_total_total'))
    }
    const another = new Observed()
    const endAnother = collectMetrics(another, { registry, name: 'another' })
    assert.equal(namesOf(registry).length, new Set(namesOf(registry)).size, 'each is there once')
    end()
    endAnother()
    assert.deepEqual(namesOf(registry), [])
    const endAgain = collectMetrics(another, { registry })
    assert.match(await registry.metrics(), /^rate_limiter_decisions_total\{/m)
    endAgain()
    assert.deepEqual(namesOf(registry), [], 'also where a scrape has written the names anew')
  })

  test('the processes of a cluster become one', async () => {
    const perProcess = await Promise.all(
      [3, 5].map(async (fleet) => {
        const registry = new Registry()
        collectMetrics(new Observed({ fleet }), { registry })
        return registry.getMetricsAsJSON()
      }),
    )
    const values = await valuesOf(AggregatorRegistry.aggregate(perProcess))
    assert.equal(values['rate_limiter_decisions_total{limiter="default",outcome="allowed"}'], '140')
    assert.equal(values['rate_limiter_store_latency_seconds_bucket{limiter="default",le="0.005"}'], '14')
    assert.equal(values['rate_limiter_store_latency_seconds_count{limiter="default"}'], '20')
    assert.equal(values['rate_limiter_fleet_instances{limiter="default"}'], '5', 'all of them know the same fleet')
  })
})

describe('collecting', () => {
  test('a scrape asks each limiter once, and nothing else does', async () => {
    const registry = new Registry()
    const [one, other] = [new Observed(), new Observed()]
    collectMetrics(one, { registry, name: 'one' })
    collectMetrics(other, { registry, name: 'other' })
    assert.deepEqual([one.asked, other.asked], [0, 0])
    await registry.metrics()
    assert.deepEqual([one.asked, other.asked], [1, 1])
    one.now = { ...one.now, allowed: 71 }
    const values = await valuesOf(registry)
    assert.deepEqual([one.asked, other.asked], [2, 2])
    assert.equal(values['rate_limiter_decisions_total{limiter="one",outcome="allowed"}'], '71')
    assert.equal(values['rate_limiter_decisions_total{limiter="other",outcome="allowed"}'], '70')
  })

  test('the registry of prom-client where none is given', async () => {
    const end = collectMetrics(new Observed())
    assert.ok(namesOf(register).includes('rate_limiter_decisions_total'))
    end()
    assert.deepEqual(namesOf(register), [])
  })

  test('labels of one limiter, of the registry, and another prefix', async () => {
    const registry = new Registry()
    registry.setDefaultLabels({ zone: 'a' })
    collectMetrics(new Observed(), { registry, prefix: 'my:', labels: { service: 'shop' } })
    const names = Object.keys(await valuesOf(registry))
    assert.ok(names.includes('my:keys{limiter="default",service="shop",zone="a"}'), names.join('\n'))
    assert.ok(names.every((name) => name.startsWith('my:') && name.includes('service="shop"')))
  })

  test('one registry has one limiter of a name', () => {
    const registry = new Registry()
    const end = collectMetrics(new Observed(), { registry })
    const again = () => collectMetrics(new Observed(), { registry })
    assert.throws(again, { code: 'ERR_RATE_LIMIT_OPTION', message: /'default' already/ })
    collectMetrics(new Observed(), { registry: new Registry() })
    collectMetrics(new Observed(), { registry, prefix: 'other_' })
    end()
    again()
  })

  test('ends with close, and twice is once', async (t) => {
    const registry = new Registry()
    const limiter = new RateLimiter({ limit: 1, window: '1h' })
    const other = new Observed()
    const end = collectMetrics(limiter, { registry, name: 'real' })
    collectMetrics(other, { registry, name: 'other' })
    await limiter.close()
    await new Promise(setImmediate)
    const names = Object.keys(await valuesOf(registry))
    assert.ok(names.length > 0 && names.every((name) => name.includes('limiter="other"')))
    const another = new Observed()
    collectMetrics(another, { registry, name: 'real' })
    end()
    assert.ok(Object.keys(await valuesOf(registry)).some((name) => name.includes('limiter="real"')))
    another.close()
    other.close()
    assert.deepEqual(namesOf(registry), [], 'nothing is left of us')
    assert.equal(other.listenerCount('close'), 0)
  })

  test('what the application has there itself stays', () => {
    const registry = new Registry()
    const counter = new Counter({ name: 'requests_total', help: 'Requests.', registers: [registry] })
    collectMetrics(new Observed(), { registry })()
    assert.deepEqual(registry.getMetricsAsArray(), [counter])
    const keys = new Counter({ name: 'rate_limiter_keys', help: 'Another.', registers: [registry] })
    assert.throws(() => collectMetrics(new Observed(), { registry }), /already been registered/)
    assert.deepEqual(registry.getMetricsAsArray(), [counter, keys], 'all or nothing')
  })

  test('a registry that was cleared or reset', async () => {
    const registry = new Registry()
    const limiter = new Observed()
    collectMetrics(limiter, { registry })
    registry.resetMetrics()
    const name = 'rate_limiter_decisions_total{limiter="default",outcome="allowed"}'
    assert.equal((await valuesOf(registry))[name], '70', 'it is what the limiter has counted')
    registry.clear()
    assert.deepEqual(await valuesOf(registry), {})
    const another = new Observed({ allowed: 71 })
    collectMetrics(another, { registry })
    assert.equal((await valuesOf(registry))[name], '71')
    limiter.close()
    assert.equal((await valuesOf(registry))[name], '71', 'the name is no longer that of the one that was forgotten')
  })

  test('a limiter that is dropped can be collected, and its name is free', { timeout: 30_000 }, async () => {
    const registry = new Registry()
    const gone = []
    const registryOfGone = new FinalizationRegistry((name) => gone.push(name))
    ;(() => {
      const limiter = new RateLimiter({ limit: 1, window: '1h' })
      registryOfGone.register(limiter, 'limiter')
      collectMetrics(limiter, { registry })
    })()
    await until(
      () => {
        gc()
        return gone.length > 0 && namesOf(registry).length === 0
      },
      'the limiter was collected',
      20_000,
    )
    collectMetrics(new Observed(), { registry })
  })
})

describe('refused', () => {
  const registry = new Registry()
  for (const [what, limiter, options, code = 'ERR_RATE_LIMIT_OPTION'] of [
    ['no limiter', {}, { registry }],
    ['options that are none', new Observed(), 'api'],
    ['a misspelt option', new Observed(), { register: registry }, 'ERR_RATE_LIMIT_UNKNOWN_OPTION'],
    ['no registry', new Observed(), { registry: {} }],
    ['an empty name', new Observed(), { registry, name: '' }],
    ['a name that is none', new Observed(), { registry, name: 1 }],
    ['a prefix that no name has', new Observed(), { registry, prefix: 'rate-limiter-' }],
    ['a label of ours', new Observed(), { registry, labels: { outcome: 'x' } }],
    ['a label of Prometheus', new Observed(), { registry, labels: { __name__: 'x' } }],
    ['a value that is no string', new Observed(), { registry, labels: { zone: 1 } }],
    ['more keys than there are', new Observed(), { registry, topDenied: 21 }],
    ['half a key', new Observed(), { registry, topDenied: 0.5 }],
  ]) {
    test(what, () => {
      assert.throws(() => collectMetrics(limiter, options), { code })
      assert.deepEqual(namesOf(registry), [])
    })
  }
})

test('docs/monitoring.md has each metric, with its kind and its labels', () => {
  const registry = new Registry()
  collectMetrics(new Observed(), { registry })
  const document = readFileSync(new URL('../docs/monitoring.md', import.meta.url), 'utf8')
  const rows = [...document.matchAll(/^\| `(rate_limiter_\w+)` +\| (\w+) +\| (.*?) +\|/gm)]
  const documented = rows.map(([, name, kind, labels]) => [name, kind, labels.replaceAll('`', '')])
  const there = registry
    .getMetricsAsArray()
    .map(({ name, type, labelNames }) => [name, type, labelNames.slice(1).join(', ')])
  assert.deepEqual(documented.sort(), there.sort())
})

test('import and require give the same functions', async () => {
  const require = createRequire(import.meta.url)
  for (const name of ['prometheus', 'opentelemetry', 'alert']) {
    const required = require(`distributed-rate-limiter/${name}`)
    const imported = await import(`distributed-rate-limiter/${name}`)
    for (const [key, value] of Object.entries(required)) assert.equal(imported[key], value, `${name} ${key}`)
  }
})
