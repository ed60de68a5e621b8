/** Limits that give way by a load and a time that a test sets: nothing is waited for. */

import { RateLimiter } from 'distributed-rate-limiter'

/**
 * `{ load, make, pass, stand }`: limiters whose only signal is `load.now`, and the time that passes for them, in ticks of 100 ms; or in
 * milliseconds, in which the loop stands still. The timers of the
 * limiters are the test's own, and so is the clock that the controller is told; what decides, and a store, have their own time.
 */
export function manual(t) {
  const load = { now: 0 }
  let now = 1_000
  t.mock.timers.enable({ apis: ['setInterval'] })
  t.mock.method(performance, 'now', () => now)
  const make = (options) => {
    const { adaptive, ...others } = options
    const limiter = new RateLimiter({ ...others, adaptive: { signals: [() => load.now], ...adaptive } })
    t.after(() => limiter.close())
    return limiter
  }
  const pass = (ticks) => {
    for (let tick = 0; tick < ticks; tick += 1) {
      now += 100
      t.mock.timers.tick(100)
    }
  }
  const stand = (ms) => {
    now += ms
  }
  return { load, make, pass, stand }
}
