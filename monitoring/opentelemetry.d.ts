import type { Attributes, Meter, Tracer } from '@opentelemetry/api'
import type { RateLimiter } from '../index.js'

interface CommonOptions {
  /** The attribute `limiter`: what this limiter is called among others. Default `'default'`. */
  name?: string
  /** Further attributes of this limiter's values or spans. */
  attributes?: Attributes
}

export interface CollectMetricsOptions extends CommonOptions {
  /** Default: one named `distributed-rate-limiter`, of the global MeterProvider. */
  meter?: Meter
}

export interface HistogramProducerOptions extends CommonOptions {}

export interface TraceOptions extends CommonOptions {
  /** Default: one named `distributed-rate-limiter`, of the global TracerProvider. */
  tracer?: Tracer
}

/** What the SDK calls a MetricProducer; told here without its package, which an application without metrics does not have. */
export interface HistogramProducer {
  collect(): Promise<{
    resourceMetrics: { resource: any; scopeMetrics: { scope: { name: string; version: string }; metrics: any[] }[] }
    errors: unknown[]
  }>
}

/**
 * Has a limiter's counters and gauges collected. They are read from `limiter.stats()` whenever they are.
 *
 * @returns a function that ends it; so does `limiter.close()`, and a limiter that is dropped can be collected
 * @throws with the code `ERR_RATE_LIMIT_OPTION` or `ERR_RATE_LIMIT_UNKNOWN_OPTION` for a bad option
 */
export declare function collectMetrics(limiter: RateLimiter, options?: CollectMetricsOptions): () => void

/**
 * A limiter's histograms, of store latency and batch sizes, for a MetricReader: Rust has counted them, and instruments can only be told
 * single values. Cumulative.
 *
 * @example
 * new PeriodicExportingMetricReader({ exporter, metricProducers: [histogramProducer(limiter)] })
 *
 * @throws as {@link collectMetrics}
 */
export declare function histogramProducer(limiter: RateLimiter, options?: HistogramProducerOptions): HistogramProducer

/**
 * Makes a span of each call that is asked of the limiter's store, within the caller's; none of what this process decides by itself. Keys
 * are in none of them.
 *
 * @returns a function that ends it; so does `limiter.close()`, and a limiter that is dropped can be collected
 * @throws as {@link collectMetrics}, and for a limiter that is traced already
 */
export declare function trace(limiter: RateLimiter, options?: TraceOptions): () => void
