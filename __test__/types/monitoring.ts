/** Type test: what observes a limiter, as an application would use and misuse it. It is compiled, never run. */

import { subscribe } from 'node:diagnostics_channel'
import { metrics, trace as traces } from '@opentelemetry/api'
import { MeterProvider, PeriodicExportingMetricReader, type PushMetricExporter } from '@opentelemetry/sdk-metrics'
import type { Decision, DiagnosticsMessages, Key, RateLimiter } from 'distributed-rate-limiter'
import { alert, type Alert, type AlertOptions } from 'distributed-rate-limiter/alert'
import * as opentelemetry from 'distributed-rate-limiter/opentelemetry'
import { collectMetrics, type CollectMetricsOptions } from 'distributed-rate-limiter/prometheus'
import { register, Registry, type OpenMetricsContentType } from 'prom-client'

/** A table that compiles only when it names every member of `T` and no other. */
type Every<T> = Record<keyof T, true>

declare const limiter: RateLimiter
declare const exporter: PushMetricExporter

// Prometheus.

const options: Required<CollectMetricsOptions> = {
  registry: register,
  name: 'api',
  prefix: 'rate_limiter_',
  labels: { service: 'api' },
  topDenied: 10,
}
const openMetrics = new Registry<OpenMetricsContentType>()
export const ends: (() => void)[] = [
  collectMetrics(limiter),
  collectMetrics(limiter, options),
  collectMetrics(limiter, { registry: openMetrics }),
]
// @ts-expect-error: no limiter
collectMetrics({})
// @ts-expect-error: no such option
collectMetrics(limiter, { register })
// @ts-expect-error: a number
collectMetrics(limiter, { topDenied: true })

// OpenTelemetry.

ends.push(opentelemetry.collectMetrics(limiter))
ends.push(
  opentelemetry.collectMetrics(limiter, { meter: metrics.getMeter('mine'), name: 'api', attributes: { region: 'eu' } }),
)
ends.push(opentelemetry.trace(limiter, { tracer: traces.getTracer('mine'), name: 'api', attributes: { region: 'eu' } }))
export const provider = new MeterProvider({
  readers: [
    new PeriodicExportingMetricReader({
      exporter,
      metricProducers: [opentelemetry.histogramProducer(limiter, { name: 'api' })],
    }),
  ],
})
// @ts-expect-error: a tracer makes no metrics
opentelemetry.collectMetrics(limiter, { tracer: traces.getTracer('mine') })

// Alerts.

const onAlert = ({ name, alert, state, value, threshold }: Alert): string =>
  `${name satisfies string} ${alert satisfies 'denyRate' | 'circuitOpen' | 'latency'} ${state satisfies 'firing' | 'resolved'} ${(value satisfies number) > threshold}`
const alertOptions: Required<AlertOptions> = {
  denyRate: { above: 0.5, below: 0.4, over: '1m', atLeast: 100 },
  circuitOpen: { for: '10s' },
  latency: { above: 50, below: 40, quantile: 0.99, over: 60_000, atLeast: 100 },
  onAlert,
  name: 'api',
  every: '1s',
  time: { now: () => performance.now(), setInterval, clearInterval },
}
ends.push(alert(limiter, alertOptions), alert(limiter, { circuitOpen: { for: '10s' }, onAlert: async () => {} }))
// @ts-expect-error: nobody to tell
alert(limiter, { circuitOpen: { for: '10s' } })
// @ts-expect-error: for how long
alert(limiter, { circuitOpen: {}, onAlert })
// @ts-expect-error: a duration
alert(limiter, { denyRate: { above: 0.5, over: 'a minute' }, onAlert })

// Channels.

export const channels: Every<DiagnosticsMessages> = {
  'distributed-rate-limiter:denied': true,
  'distributed-rate-limiter:shadow': true,
  'distributed-rate-limiter:state': true,
  'distributed-rate-limiter:store': true,
}
subscribe('distributed-rate-limiter:denied', (message) => {
  const told = message as DiagnosticsMessages['distributed-rate-limiter:denied']
  void (told.limiter satisfies RateLimiter)
  void (told.key satisfies Key)
  void (told.decision satisfies Decision | undefined)
})
subscribe('distributed-rate-limiter:state', (message) => {
  const told = message as DiagnosticsMessages['distributed-rate-limiter:state']
  void (told.state satisfies 'up' | 'down' | 'closed')
  void (told.error satisfies Error | undefined)
})
subscribe('distributed-rate-limiter:store', (message) => {
  const told = message as DiagnosticsMessages['distributed-rate-limiter:store']
  void (told.answer satisfies Promise<boolean | Decision | void>)
})
