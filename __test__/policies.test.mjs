/** What a limiter says of its own limits: what it was given, whatever it makes of it. */

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { DistributedRateLimiter, RateLimiter } from '../index.mjs'

/** The policies of a limiter that is not used, and leaves nothing behind. */
async function policiesOf(options, Limiter = RateLimiter) {
  const limiter = new Limiter(options)
  try {
    return limiter.policies()
  } finally {
    await limiter.close()
  }
}

describe('policies', () => {
  it('names one limit "default", with the algorithm that is the default', async () => {
    assert.deepEqual(await policiesOf({ limit: 100, window: '1m' }), [
      { name: 'default', algorithm: 'sliding-window', limit: 100, windowMs: 60_000 },
    ])
  })

  it('tells windows to the microsecond', async () => {
    const windows = [0.001, 1.5, '2.25s', '3650d']
    const told = await Promise.all(windows.map(async (window) => (await policiesOf({ limit: 1, window }))[0].windowMs))
    assert.deepEqual(told, [0.001, 1.5, 2_250, 3_650 * 86_400_000])
  })

  for (const [algorithm, burst, told] of [
    ['sliding-window', undefined, undefined],
    ['sliding-window', { extra: 5, window: '1h' }, { extra: 5, windowMs: 3_600_000 }],
    ['sliding-counter', { extra: 5, window: '1h' }, { extra: 5, windowMs: 3_600_000 }],
    ['fixed-window', { extra: 5, window: '1h' }, { extra: 5, windowMs: 3_600_000 }],
    ['fixed-window', undefined, undefined],
    ['token-bucket', undefined, 10],
    ['token-bucket', 50, 50],
    ['leaky-bucket', 0, 0],
    ['leaky-bucket', undefined, 10],
  ]) {
    it(`tells the burst ${JSON.stringify(burst)} of a ${algorithm}`, async () => {
      const [policy] = await policiesOf({ limit: 10, window: '1s', algorithm, ...(burst !== undefined && { burst }) })
      const expected = { name: 'default', algorithm, limit: 10, windowMs: 1_000 }
      assert.deepEqual(policy, told === undefined ? expected : { ...expected, burst: told })
    })
  }

  it('tells several limits in their order, then actions by their names, then newKeys', async () => {
    const policies = await policiesOf({
      limits: [
        { name: 'second', limit: 5, window: '1s', by: 'user' },
        { name: 'all', limit: 500, window: '1s', by: 'global' },
      ],
      actions: { write: { limit: 2, window: '1s', by: 'user' }, login: { limit: 1, window: '1h', by: 'ip' } },
      newKeys: { limit: 3, window: '1m', by: 'ip' },
    })
    const told = policies.map(({ name, action, by, limit }) => [name, action, by, limit])
    assert.deepEqual(told, [
      ['second', undefined, 'user', 5],
      ['all', undefined, 'global', 500],
      ['default', 'login', 'ip', 1],
      ['default', 'write', 'user', 2],
      ['newKeys', undefined, 'ip', 3],
    ])
  })

  it('tells nothing of limits that are given later, only those of actions', async () => {
    assert.deepEqual(await policiesOf({ limit: 'configured' }), [])
    assert.deepEqual(await policiesOf({}, DistributedRateLimiter), [])
    const actions = { login: { limit: 1, window: '1s' } }
    const [login, ...others] = await policiesOf({ limit: 'configured', actions })
    assert.deepEqual([login.action, others], ['login', []])
  })

  it('tells the window as it was given where units are leased, which count for longer', async () => {
    const store = { redisUrl: 'redis://127.0.0.1:1', lease: { max: 10, ttl: '200ms' } }
    for (const algorithm of ['sliding-window', 'token-bucket']) {
      const [{ windowMs }] = await policiesOf({ limit: 100, window: '1m', algorithm, ...store })
      assert.equal(windowMs, 60_000)
    }
  })
})
