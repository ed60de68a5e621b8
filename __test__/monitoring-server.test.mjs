/** The dashboard and the alert rules, by a real Prometheus that scrapes a real application: each expression has data, and alerts fire. */

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { after, before, describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'

import { parse } from 'yaml'

import { promtool, startPrometheus } from '../scripts/prometheus.mjs'
import { freePort, startRedis } from '../scripts/redis.mjs'
import { program } from './support/child.mjs'
import { startServer } from './support/http.mjs'
import { until } from './support/wait.mjs'

const WITHIN_MS = 30_000
const METRIC = /\brate_limiter_[a-z_]+/g

const root = fileURLToPath(new URL('..', import.meta.url))
const alertsFile = `${root}monitoring/prometheus/alerts.yml`
const rules = readFileSync(alertsFile, 'utf8')
const dashboard = JSON.parse(readFileSync(`${root}monitoring/grafana/dashboard.json`, 'utf8'))

const alerts = parse(rules).groups.flatMap((group) => group.rules)
const panels = dashboard.panels.filter(({ type }) => type !== 'row')
const targets = panels.flatMap(({ title, targets }) =>
  targets.map(({ refId, expr }) => ({ name: `${title} ${refId}`, expr })),
)
/** An expression as Grafana sends it, with all limiters chosen. */
const asSent = (expr) => expr.replaceAll('$__rate_interval', '5s').replaceAll('$limiter', '.*')

describe('promtool', () => {
  test('finds the rules right', () => {
    const { ok, output } = promtool('check', 'rules', alertsFile)
    assert.ok(ok, output)
    assert.match(output, new RegExp(`${alerts.length} rules found`))
  })

  test('has each alert fire when it should, and not before', () => {
    const file = `${root}__test__/prometheus/alerts.test.yml`
    const { ok, output } = promtool('test', 'rules', file)
    assert.ok(ok, output)
    const tested = new Set(
      parse(readFileSync(file, 'utf8'))
        .tests.flatMap((each) => each.alert_rule_test)
        .filter((each) => each.exp_alerts)
        .map((each) => each.alertname),
    )
    assert.deepEqual([...tested].sort(), alerts.map(({ alert }) => alert).sort(), 'each rule has a test')
  })
})

test('docs/monitoring.md has each alert', () => {
  const document = readFileSync(`${root}docs/monitoring.md`, 'utf8')
  const documented = [...document.matchAll(/^\| `(RateLimiter\w+)` +\| (\w+) /gm)].map(([, ...row]) => row)
  assert.deepEqual(
    documented,
    alerts.map(({ alert, labels }) => [alert, labels.severity]),
  )
})

describe('the dashboard', () => {
  test('has what Grafana needs to show it', () => {
    assert.equal(dashboard.uid, 'distributed-rate-limiter')
    assert.ok(panels.length > 10)
    const ids = dashboard.panels.map(({ id }) => id)
    assert.equal(new Set(ids).size, ids.length)
    for (const { title, description, datasource, gridPos, targets } of panels) {
      assert.ok(title && description, title)
      assert.deepEqual(datasource, { type: 'prometheus', uid: '${datasource}' }, title)
      assert.ok(gridPos.x >= 0 && gridPos.x + gridPos.w <= 24, title)
      assert.ok(targets.length > 0, title)
      for (const { expr } of targets) assert.ok(expr.includes('$limiter'), `${title}: ${expr}`)
    }
    assert.deepEqual(
      dashboard.templating.list.map(({ name }) => name),
      ['datasource', 'limiter'],
    )
  })

  test('no panel lies on another', () => {
    const cells = new Set()
    for (const { title, gridPos } of dashboard.panels) {
      for (let x = gridPos.x; x < gridPos.x + gridPos.w; x += 1) {
        for (let y = gridPos.y; y < gridPos.y + gridPos.h; y += 1) {
          assert.ok(!cells.has(`${x} ${y}`), `${title} at ${x} ${y}`)
          cells.add(`${x} ${y}`)
        }
      }
    }
  })
})

describe('a Prometheus that scrapes an application', { timeout: 300_000 }, () => {
  let redis
  let app
  let prometheus
  before(async () => {
    redis = await startRedis()
    const port = await freePort()
    app = await startServer(program('observed-app.mjs'), { port, env: { REDIS_URL: redis.url }, within: 300_000 })
    // What takes minutes takes as long as one evaluation here.
    const atOnce = rules.replaceAll(/for: \d+m/g, 'for: 0s')
    prometheus = await startPrometheus({ targets: [`127.0.0.1:${port}`], rules: atOnce })
    await until(async () => (await prometheus.query('up{job="app"} == 1')).length > 0, 'it has scraped', WITHIN_MS)
  })
  after(async () => {
    await prometheus?.stop()
    await app?.stop('SIGKILL')
    await redis?.stop()
  })

  /** The names of alerts that fire now for a limiter. */
  const firing = async (limiter) => {
    const { alerts } = await prometheus.api('alerts')
    return alerts
      .filter(({ state, labels }) => state === 'firing' && labels.limiter === limiter)
      .map(({ labels }) => labels.alertname)
  }

  test('every metric that is named is there', async () => {
    const names = new Set(await prometheus.api('label/__name__/values'))
    const variable = dashboard.templating.list[1].query.query
    const expressions = [...targets.map(({ expr }) => expr), ...alerts.map(({ expr }) => expr), variable]
    const named = new Set(expressions.flatMap((expr) => expr.match(METRIC)))
    assert.ok(named.size > 15)
    assert.deepEqual(
      [...named].filter((name) => !names.has(name)),
      [],
    )
    // And the other way: a metric that no panel shows has been forgotten there.
    const shown = new Set(targets.flatMap(({ expr }) => expr.match(METRIC)))
    const ours = [...names].filter((name) => name.startsWith('rate_limiter_') && !/_(sum|count)$/.test(name))
    assert.deepEqual(
      ours.filter((name) => !shown.has(name)),
      [],
    )
  })

  for (const { name, expr } of targets) {
    test(`the dashboard's ${name} has data`, async () => {
      const hasData = async () => {
        const series = await prometheus.query(asSent(expr))
        return series.some(({ value }) => !Number.isNaN(value))
      }
      await until(hasData, `there was a value of ${expr}`, WITHIN_MS)
    })
  }

  test('what it says is what the application does', async () => {
    // The last one of a name: the first row has single numbers of the same. A scrape that a busy machine misses leaves a gap.
    const say = (name, many) => {
      const { expr } = targets.findLast((target) => target.name === name)
      const all = async () => {
        const series = await prometheus.query(asSent(expr))
        return series.length >= many && series
      }
      return until(all, `${name} had ${many} series`, WITHIN_MS)
    }
    const rates = Object.fromEntries((await say('Deny rate A', 3)).map(({ metric, value }) => [metric.limiter, value]))
    assert.ok(rates.wall > 0.9, `${rates.wall}`)
    assert.equal(rates.edge, 0)
    const circuits = await say('Circuit A', 3)
    assert.deepEqual(circuits.map(({ metric, value }) => [metric.limiter, value]).sort(), [
      ['api', 0],
      ['edge', 0],
      ['wall', 0],
    ])
    const [latency] = await say('Latency A', 1)
    assert.ok(latency.value > 0 && latency.value < 1, `${latency.value} s`)
    const keys = (await say('Top denied keys A', 4)).map(({ metric }) => [metric.limiter, metric.key]).sort()
    assert.deepEqual(
      keys,
      [0, 1, 2, 3].map((user) => ['wall', `user:${user}`]),
    )
  })

  test('an alert fires for the limiter that denies, and for no other', async () => {
    await until(async () => (await firing('wall')).includes('RateLimiterDenyRateHigh'), 'it fired', WITHIN_MS)
    assert.deepEqual(await firing('wall'), ['RateLimiterDenyRateHigh'])
    assert.deepEqual(await firing('edge'), [])
  })

  test('Redis is killed: the circuit, the errors and the fallback are alerts, and the circuit no longer when it is back', async () => {
    await redis.kill()
    const expected = ['RateLimiterCircuitOpen', 'RateLimiterFallbackDecides', 'RateLimiterStoreErrors']
    const all = async () => {
      const now = await firing('api')
      return expected.every((name) => now.includes(name))
    }
    await until(all, `${expected.join(', ')} fired`, WITHIN_MS)
    const panel = targets.findLast(({ name }) => name === 'Circuit A')
    await until(
      async () => (await prometheus.query(asSent(panel.expr))).some(({ value }) => value >= 1),
      'the dashboard said so',
      WITHIN_MS,
    )
    await redis.start()
    const isOver = async () => !(await firing('api')).includes('RateLimiterCircuitOpen')
    await until(isOver, 'the circuit was no alert any more', WITHIN_MS)
  })

  test('every rule has been evaluated without an error', async () => {
    const { groups } = await prometheus.api('rules')
    const evaluated = groups.flatMap((group) => group.rules)
    assert.equal(evaluated.length, alerts.length)
    for (const { name, health, lastError } of evaluated) assert.equal(health, 'ok', `${name}: ${lastError}`)
  })
})
