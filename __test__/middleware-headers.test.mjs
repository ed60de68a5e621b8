/** What responses say of limits, read by a parser of structured fields; and that clients are never told less than the truth. */

import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { describe, test } from 'node:test'

import { parseList } from 'structured-headers'

import headers from '../middleware/headers.js'
import { limiterOf } from './support/stores.mjs'

const { Headers } = headers

const DRAFT = { draft: true, legacy: false, partitionKey: false }
const ALL = { draft: true, legacy: true, partitionKey: true }

/** The headers of one decision. */
function written(writer, decision, action, key = 'key') {
  const seen = {}
  writer.write((response, name, value) => (response[name] = value), seen, decision, action, key)
  for (const value of Object.values(seen)) assert.equal(typeof value, 'string')
  return seen
}

/** A list of items as `[name, { parameter: value }]`. */
const parsed = (value) => parseList(value).map(([name, parameters]) => [name, Object.fromEntries(parameters)])

const digestOf = (text) => createHash('sha256').update(text).digest().subarray(0, 12)
const bytesOf = (value) => Buffer.from(value instanceof ArrayBuffer ? value : (value.buffer ?? value))

describe('RateLimit-Policy and RateLimit', { timeout: 30_000 }, () => {
  test('of one limit', async (t) => {
    const limiter = limiterOf(t, { limit: 3, window: '90s' })
    const writer = new Headers(limiter.policies(), DRAFT, false)
    const seen = written(writer, await limiter.check('a'))
    assert.deepEqual(Object.keys(seen), ['RateLimit-Policy', 'RateLimit'])
    assert.deepEqual(parsed(seen['RateLimit-Policy']), [['default', { q: 3, w: 90 }]])
    assert.deepEqual(parsed(seen.RateLimit), [['default', { r: 2, t: 90 }]])
  })

  test('of several limits, each by its name, and of new keys', async (t) => {
    const limiter = limiterOf(t, {
      limits: [
        { name: 'second', by: 'user', limit: 10, window: '500ms' },
        { name: 'day.1', by: 'user', limit: 1_000, window: '1d' },
        { name: 'all', by: 'global', limit: 20, window: '1m' },
      ],
      newKeys: { limit: 2, window: '1h', by: 'ip' },
    })
    const writer = new Headers(limiter.policies(), DRAFT, false)
    const seen = written(writer, await limiter.check({ user: 'a', ip: '1' }, { cost: 4 }))
    assert.deepEqual(parsed(seen['RateLimit-Policy']), [
      ['second', { q: 10, w: 1 }],
      ['day.1', { q: 1_000, w: 86_400 }],
      ['all', { q: 20, w: 60 }],
      ['newKeys', { q: 2, w: 3_600 }],
    ])
    assert.deepEqual(
      parsed(seen.RateLimit).map(([name, { r }]) => [name, r]),
      [
        ['second', 6],
        ['day.1', 996],
        ['all', 16],
        ['newKeys', 1],
      ],
    )
  })

  test('of an action that has its own limit, by the action, and beside it those that always count', async (t) => {
    const limiter = limiterOf(t, {
      limits: [{ name: 'minute', by: 'user', limit: 10, window: '1m' }],
      actions: {
        download: { limit: 2, window: '1h', by: 'user' },
        'say "hello"': { limit: 3, window: '1h', by: 'user' },
      },
      newKeys: { limit: 5, window: '1h', by: 'ip' },
    })
    const writer = new Headers(limiter.policies(), DRAFT, false)
    const of = async (action) => {
      const key = { user: 'a', ip: '1' }
      const seen = written(writer, await limiter.check(key, action && { action }), action)
      return [seen['RateLimit-Policy'], seen.RateLimit].map((value) => parsed(value).map(([name]) => name))
    }
    assert.deepEqual(await of('download'), [
      ['download', 'newKeys'],
      ['download', 'newKeys'],
    ])
    assert.deepEqual(await of('say "hello"'), [
      ['default', 'newKeys'],
      ['default', 'newKeys'],
    ])
    assert.deepEqual(await of('upload'), [
      ['minute', 'newKeys'],
      ['minute', 'newKeys'],
    ])
    assert.deepEqual(await of(undefined), [
      ['minute', 'newKeys'],
      ['minute', 'newKeys'],
    ])
  })

  test('of buckets and bursts: r is what is there, q and w what comes', async (t) => {
    for (const [options, policy, r] of [
      [{ algorithm: 'token-bucket', limit: 10, window: '1s', burst: 50 }, { q: 10, w: 1 }, 49],
      [{ algorithm: 'token-bucket', limit: 10, window: '1s' }, { q: 10, w: 1 }, 9],
      [{ algorithm: 'leaky-bucket', limit: 10, window: '1s', burst: 4 }, { q: 10, w: 1 }, 4],
      [{ algorithm: 'leaky-bucket', limit: 10, window: '1s' }, { q: 10, w: 1 }, 10],
      [{ limit: 10, window: '1s', burst: { extra: 5, window: '1m' } }, { q: 10, w: 1 }, 14],
      [{ algorithm: 'fixed-window', limit: 10, window: '1s' }, { q: 10, w: 1 }, 9],
      [{ algorithm: 'sliding-counter', limit: 10, window: '1s' }, { q: 10, w: 1 }, 9],
    ]) {
      const limiter = limiterOf(t, options)
      const writer = new Headers(limiter.policies(), DRAFT, false)
      const seen = written(writer, await limiter.check('a'))
      const what = JSON.stringify(options)
      assert.deepEqual(parsed(seen['RateLimit-Policy']), [['default', policy]], what)
      assert.equal(parsed(seen.RateLimit)[0][1].r, r, what)
    }
  })

  test('of a limit that is not the limiter’s own: as it is, without a window that nobody knows', async (t) => {
    const limiter = limiterOf(t, { limit: 10, window: '1m' })
    limiter.configure('vip', { limit: 500, window: '1h' })
    const open = limiterOf(t, { limit: 'configured' })
    open.configure('a', { limit: 7, window: '1h' })
    for (const [asked, key, q] of [
      [limiter, 'vip', 500],
      [open, 'a', 7],
    ]) {
      const writer = new Headers(asked.policies(), DRAFT, false)
      const seen = written(writer, await asked.check(key))
      assert.deepEqual(parsed(seen['RateLimit-Policy']), [['default', { q }]])
      assert.equal(parsed(seen.RateLimit)[0][1].r, q - 1)
    }
  })

  test('qu says what a unit is, where it is no request', async (t) => {
    const limiter = limiterOf(t, { limit: 10, window: '1m' })
    const unitOf = async (quotaUnit, hasCost) => {
      const writer = new Headers(limiter.policies(), { ...DRAFT, quotaUnit }, hasCost)
      const { 'RateLimit-Policy': policy } = written(writer, await limiter.check('a'))
      return parsed(policy)[0][1].qu
    }
    assert.equal(await unitOf(undefined, false), undefined)
    assert.equal(await unitOf(undefined, true), 'units')
    assert.equal(await unitOf('content-bytes', true), 'content-bytes')
    assert.equal(await unitOf('content-bytes', false), 'content-bytes')
  })

  test('pk says for whom, by a digest of the key or of the field, and nothing of what all share', async (t) => {
    const one = limiterOf(t, { limit: 10, window: '1m' })
    const several = limiterOf(t, {
      limits: [
        { name: 'user', by: 'user', limit: 10, window: '1m' },
        { name: 'all', by: 'global', limit: 10, window: '1m' },
        { name: 'ip', by: 'ip', limit: 10, window: '1m' },
      ],
    })
    for (const [limiter, key, expected] of [
      [one, 'alice', [digestOf('alice')]],
      [several, { user: 'alice', ip: '::1' }, [digestOf('alice'), undefined, digestOf('::1')]],
    ]) {
      const writer = new Headers(limiter.policies(), ALL, false)
      const seen = written(writer, await limiter.check(key), undefined, key)
      for (const name of ['RateLimit-Policy', 'RateLimit']) {
        const partitions = parsed(seen[name]).map(([, { pk }]) => pk && bytesOf(pk))
        assert.deepEqual(partitions, expected, name)
      }
      assert.ok(!Object.values(seen).join().includes('alice'))
    }
  })

  test('t never says more than from empty to full, whatever the clock of whoever decided shows', () => {
    const policy = { name: 'default', algorithm: 'sliding-window', limit: 10, windowMs: 60_000 }
    const writer = new Headers([policy], DRAFT, false)
    const t = (resetAt) => {
      const decision = { allowed: true, limit: 10, remaining: 3, retryAfterMs: 0, resetAt }
      return parsed(written(writer, decision).RateLimit)[0][1].t
    }
    assert.equal(t(Date.now() + 3_600_000), 120)
    assert.equal(t(Date.now() - 3_600_000), 0)
  })
})

describe('a refusal', { timeout: 30_000 }, () => {
  test('Retry-After is never earlier than the truth, nor before the end of any t', () => {
    const policies = ['a', 'b'].map((name) => ({ name, algorithm: 'sliding-window', limit: 10, windowMs: 60_000 }))
    const writer = new Headers(policies, { ...ALL, partitionKey: false }, false)
    for (const ms of [1, 999, 1_000, 1_001, 1_999.5, 59_999, 86_400_001]) {
      const resetAt = Date.now() + 100_000
      const limits = [
        { name: 'a', allowed: true, limit: 10, remaining: 3, retryAfterMs: 0, resetAt },
        { name: 'b', allowed: false, limit: 10, remaining: 0, retryAfterMs: ms, resetAt },
      ]
      const decision = { allowed: false, limit: 10, remaining: 0, retryAfterMs: ms, resetAt, name: 'b', limits }
      const before = Date.now()
      const seen = written(writer, decision)
      const seconds = Number(seen['Retry-After'])
      assert.ok(Number.isInteger(seconds) && seconds * 1_000 >= ms && seconds * 1_000 < ms + 1_000, `${ms}: ${seconds}`)
      assert.deepEqual(writer.violated(decision), ['b'])
      for (const [name, { t }] of parsed(seen.RateLimit)) assert.ok(t <= seconds, `${name}: ${t} > ${seconds}`)
      const reset = Number(seen['X-RateLimit-Reset'])
      assert.ok(reset * 1_000 >= before + ms, 'X-RateLimit-Reset, neither')
    }
  })

  test('Retry-After is there also where no other header is wanted', async (t) => {
    const limiter = limiterOf(t, { limit: 1, window: '1m' })
    const writer = new Headers(limiter.policies(), { ...DRAFT, draft: false }, false)
    assert.deepEqual(written(writer, await limiter.check('a')), {})
    assert.deepEqual(Object.keys(written(writer, await limiter.check('a'))), ['Retry-After'])
  })
})

test('the older headers: of the limit that decided, and the reset in seconds since 1970', async (t) => {
  const limiter = limiterOf(t, {
    limits: [
      { name: 'minute', limit: 2, window: '1m' },
      { name: 'hour', limit: 9, window: '1h' },
    ],
  })
  const writer = new Headers(limiter.policies(), { ...ALL, draft: false }, false)
  const decision = await limiter.check('a')
  assert.deepEqual(written(writer, decision), {
    'X-RateLimit-Limit': '2',
    'X-RateLimit-Remaining': '1',
    'X-RateLimit-Reset': String(Math.ceil(decision.resetAt / 1_000)),
  })
})
