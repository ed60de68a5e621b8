import type { Registry, RegistryContentType } from 'prom-client'
import type { RateLimiter } from '../index.js'

export interface CollectMetricsOptions {
  /** Where the metrics are collected. Default: prom-client's own `register`. */
  registry?: Registry<RegistryContentType>
  /** The label `limiter`: what this limiter is called among those of the registry, each of which has its own. Default `'default'`. */
  name?: string
  /** What the metrics' names begin with. Default `'rate_limiter_'`, which the dashboard and the rules of this package expect. */
  prefix?: string
  /** Further labels of this limiter's values. */
  labels?: Record<string, string>
  /**
   * How many of the keys that were denied most often are told, as `…top_denied_calls`: 0 to 20. Default 0. Each key that ever is among
   * them is a series of its own where the metrics are kept, and is readable there.
   */
  topDenied?: number
}

/**
 * Adds a limiter's metrics to a registry of prom-client. They are read from `limiter.stats()` whenever they are scraped.
 *
 * @example
 * collectMetrics(limiter, { name: 'api' })
 * app.get('/metrics', async (req, res) => res.type(register.contentType).send(await register.metrics()))
 *
 * @returns a function that ends it; so does `limiter.close()`, and a limiter that is dropped can be collected
 * @throws with the code `ERR_RATE_LIMIT_OPTION` for a bad option or a name that the registry has already, and
 * `ERR_RATE_LIMIT_UNKNOWN_OPTION`; what prom-client throws where the registry has other metrics of these names
 */
export declare function collectMetrics(limiter: RateLimiter, options?: CollectMetricsOptions): () => void
