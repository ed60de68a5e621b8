/** What responses say of a quota of the calendar: the length of the period in which they are written, whatever it was before. */

import assert from 'node:assert/strict'
import { describe, test } from 'node:test'

import { RateLimiter } from 'distributed-rate-limiter'
import { parseList } from 'structured-headers'

import headers from '../middleware/headers.js'

const { Headers } = headers

const DRAFT = { draft: true, legacy: false, partitionKey: false }
const HOUR = 3_600
const DAY = 24 * HOUR
const PARIS = 'Europe/Paris'
const HERE = 'default'

/** Each a calendar, and moments with the seconds of the period that they lie in. */
const PERIODS = [
  [
    'a month’s end',
    { calendar: 'month', timeZone: PARIS },
    [
      ['2026-01-31T22:59:59.999Z', 31 * DAY],
      ['2026-01-31T23:00:00Z', 28 * DAY],
      ['2026-02-28T22:59:59.999Z', 28 * DAY],
      // The clocks are put forward in it.
      ['2026-02-28T23:00:00Z', 31 * DAY - HOUR],
      ['2026-03-31T22:00:00Z', 30 * DAY],
      ['2026-09-30T22:00:00Z', 31 * DAY + HOUR],
      ['2028-02-10T12:00:00Z', 29 * DAY],
    ],
  ],
  [
    'the day on which clocks are put forward',
    { calendar: 'day', timeZone: PARIS },
    [
      ['2026-03-28T22:59:59.999Z', DAY],
      ['2026-03-28T23:00:00Z', 23 * HOUR],
      ['2026-03-29T21:59:59.999Z', 23 * HOUR],
      ['2026-03-29T22:00:00Z', DAY],
    ],
  ],
  [
    'the day on which they are put back',
    { calendar: 'day', timeZone: PARIS },
    [
      ['2026-10-24T21:59:59.999Z', DAY],
      ['2026-10-24T22:00:00Z', 25 * HOUR],
      ['2026-10-25T22:59:59.999Z', 25 * HOUR],
      ['2026-10-25T23:00:00Z', DAY],
    ],
  ],
  [
    'weeks from Sunday',
    { calendar: 'week', timeZone: PARIS, weekStart: 'sunday' },
    [
      ['2026-03-28T22:59:59.999Z', 7 * DAY],
      ['2026-03-28T23:00:00Z', 7 * DAY - HOUR],
    ],
  ],
  [
    'a clock that is set back',
    { calendar: 'month', timeZone: PARIS },
    [
      ['2026-02-01T00:00:00Z', 28 * DAY],
      ['2026-01-10T00:00:00Z', 31 * DAY],
    ],
  ],
]

describe('w of RateLimit-Policy, of one writer over time', () => {
  for (const [title, window, moments] of PERIODS) {
    test(title, (t) => {
      const limiter = new RateLimiter({ limit: 9, window })
      t.after(() => limiter.close())
      t.mock.timers.enable({ apis: ['Date'], now: Date.parse(moments[0][0]) })
      const writer = new Headers(limiter.policies(), DRAFT, false)
      for (const [moment, seconds] of moments) {
        t.mock.timers.setTime(Date.parse(moment))
        assert.deepEqual(policyOf(writer, one), [[HERE, { q: 9, w: seconds }]], moment)
      }
    })
  }

  test('of several limits, each has its own', (t) => {
    const day = { calendar: 'day', timeZone: PARIS }
    const limits = [
      { name: 'hour', limit: 2, window: '1h' },
      { name: 'day', limit: 5, window: day },
      { name: 'month', limit: 9, window: { calendar: 'month' } },
    ]
    const limiter = new RateLimiter({ limits })
    t.after(() => limiter.close())
    t.mock.timers.enable({ apis: ['Date'], now: Date.parse('2026-03-28T12:00:00Z') })
    const writer = new Headers(limiter.policies(), { ...DRAFT, partitionKey: true }, true)
    const each = limits.map(({ name, limit }) => ({ ...one, name, limit }))
    const seconds = () => policyOf(writer, { ...one, limits: each }).map(([, { w }]) => w)
    assert.deepEqual(seconds(), [HOUR, DAY, 31 * DAY])
    t.mock.timers.setTime(Date.parse('2026-03-29T12:00:00Z'))
    assert.deepEqual(seconds(), [HOUR, 23 * HOUR, 31 * DAY])
    t.mock.timers.setTime(Date.parse('2026-04-01T12:00:00Z'))
    assert.deepEqual(seconds(), [HOUR, DAY, 30 * DAY])
  })
})

const one = { allowed: true, limit: 9, remaining: 8, retryAfterMs: 0, resetAt: 0 }

function policyOf(writer, decision) {
  const seen = {}
  writer.write((response, name, value) => (response[name] = value), seen, decision, undefined, 'key')
  return parseList(seen['RateLimit-Policy']).map(([name, parameters]) => [
    name,
    Object.fromEntries([...parameters].filter(([parameter]) => 'qw'.includes(parameter))),
  ])
}
