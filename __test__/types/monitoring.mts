/** Type test: the same functions as an ES module imports them. It is compiled, never run. */

import { RateLimiter } from 'distributed-rate-limiter'
import { alert } from 'distributed-rate-limiter/alert'
import {
  collectMetrics as collectByOpenTelemetry,
  histogramProducer,
  trace,
} from 'distributed-rate-limiter/opentelemetry'
import { collectMetrics } from 'distributed-rate-limiter/prometheus'

const limiter = new RateLimiter({ limit: 100, window: '1m' })

export const ends: (() => void)[] = [
  collectMetrics(limiter),
  collectByOpenTelemetry(limiter),
  trace(limiter),
  alert(limiter, { circuitOpen: { for: '10s' }, onAlert: () => {} }),
]
export const producer = histogramProducer(limiter)
