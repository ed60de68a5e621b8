/** What is not accepted of several limits, of limits that differ, of clocks and clients, and by the other names of all of it. */

import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { inspect } from 'node:util'

import { DistributedRateLimiter, RateLimiter } from 'distributed-rate-limiter'

import { GOOD, alone, badKey, BAD_KEYS, costKind, costRange, kind, range, unknown } from './support/bad-input.mjs'
import { BAD_CALLS, BAD_DURATIONS, BAD_LIMITS, BAD_OWN_LIMITS } from './support/bad-limits.mjs'
import { assertRefusal, rejectionOf, thrownBy } from './support/refusal.mjs'

/** A value on one short line. */
const shown = (value) => inspect(value, { maxStringLength: 40, depth: 1 }).replace(/\s+/g, ' ').slice(0, 80)

/** `action` throws at once what is expected. */
function throws(action, expected, what) {
  assertRefusal(thrownBy(action, what), expected, what)
}

/** `action` answers with a promise that rejects with what is expected. */
async function rejects(action, expected, what) {
  assertRefusal(await rejectionOf(action, what), expected, what)
}

describe('options of limits', { timeout: 30_000 }, () => {
  for (const [title, options, error, says] of BAD_LIMITS) {
    test(title, () => throws(() => new RateLimiter(options), { ...error, says }, title))
  }

  test('the most that is accepted', async () => {
    const limits = Array.from({ length: 16 }, (_, index) => ({ ...GOOD, name: `n${index}`, by: 'a-field' }))
    for (const options of [
      { limits },
      { limits: [{ ...GOOD, name: `${'a'.repeat(61)}-_.`, by: 'global' }] },
      { ...GOOD, actions: { ['a'.repeat(128)]: GOOD } },
      { ...GOOD, actions: {} },
      { ...GOOD, burst: { extra: 2 ** 32 - 10, window: '3650d' } },
      { ...GOOD, algorithm: 'leaky-bucket', burst: 0 },
      { ...GOOD, limits: undefined, actions: undefined, clock: undefined, align: undefined, redisClient: undefined },
    ]) {
      await new RateLimiter(options).close()
    }
  })
})

describe('arguments of calls', { timeout: 30_000 }, () => {
  const limiter = new RateLimiter(GOOD)

  for (const [options, error, says] of BAD_CALLS) {
    test(`call options that are ${shown(options)}`, async () => {
      for (const method of ['isAllowed', 'check', 'peek']) {
        await rejects(() => limiter[method]('a', options), { ...error, says }, `${method}(${shown(options)})`)
      }
      throws(() => limiter.isAllowedSync('a', options), { ...error, says }, `isAllowedSync(${shown(options)})`)
    })
  }

  for (const [duration, error, given] of BAD_DURATIONS) {
    test(`a block of ${shown(duration)}`, () =>
      rejects(() => limiter.block('a', duration), { ...error, says: ['duration', given] }, 'block'))
  }

  for (const method of ['refund', 'penalty']) {
    for (const [cost, error, given] of [
      [0, costRange, alone(0)],
      [-1, costRange, '-1'],
      [11, costRange, alone(11)],
      [1.5, costRange, alone(1.5)],
      [NaN, costRange, 'NaN'],
      ['1', costKind, '1'],
      [null, costKind, 'null'],
      [{}, costKind, 'object'],
    ]) {
      test(`a ${method} of ${shown(cost)}`, () =>
        rejects(() => limiter[method]('a', cost), { ...error, says: ['cost', given] }, method))
    }
    test(`a ${method} takes no second cost`, async () => {
      for (const options of [{ cost: 2 }, { upTo: 2 }]) {
        const [name] = Object.keys(options)
        await rejects(() => limiter[method]('a', 1, options), { ...unknown, says: [method, name] }, method)
      }
    })
  }

  test('options of what is done to a key', async () => {
    const day = '1d'
    for (const [method, ...args] of [['block', day], ['unblock'], ['reset'], ['refund', 1], ['penalty', 1]]) {
      for (const [options, expected] of [
        [5, kind],
        [null, { ...kind, says: ['null'] }],
        [[], { ...kind, says: ['array'] }],
        [{ action: '' }, { ...range, says: ['action'] }],
        [{ actoin: 'a' }, { ...unknown, says: [method, 'actoin', /\baction\b/] }],
        [{ nonsense: 1 }, { ...unknown, says: [method, 'nonsense'] }],
      ]) {
        await rejects(() => limiter[method]('a', ...args, options), expected, `${method}(${shown(options)})`)
      }
    }
    for (const method of ['unblock', 'reset']) {
      await rejects(() => limiter[method]('a', { timestamp: 5 }), { ...unknown, says: ['timestamp'] }, method)
    }
  })

  for (const [title, key] of BAD_KEYS) {
    test(`a key that is ${title}`, async () => {
      for (const [method, ...args] of [
        ['refund'],
        ['penalty'],
        ['block', 5],
        ['unblock'],
        ['acquire'],
        ['checkRequest'],
      ]) {
        await rejects(() => limiter[method](key, ...args), badKey, method)
      }
      throws(() => limiter.configure(key, null), badKey, 'configure')
    })
  }

  for (const [own, error, says] of BAD_OWN_LIMITS) {
    test(`configure with ${shown(own)}`, () =>
      throws(() => limiter.configure('a', own), { ...error, says }, 'configure'))
  }

  for (const timestamp of [NaN, -1, '5', null, 1e13]) {
    test(`checkRequest at ${shown(timestamp)}`, () => {
      const error = typeof timestamp === 'number' ? range : kind
      return rejects(() => limiter.checkRequest('a', timestamp), { ...error, says: ['timestamp'] }, 'checkRequest')
    })
  }

  for (const [options, error, says] of [
    [5, kind, ['maxWait']],
    [null, kind, ['null']],
    [[], kind, ['array']],
    [{ maxWait: -1 }, range, ['maxWait', '-1']],
    [{ maxWait: NaN }, range, ['maxWait', 'NaN']],
    [{ maxWait: '5 parsecs' }, range, ['maxWait', '5 parsecs']],
    [{ maxWait: '25h' }, range, ['maxWait', '25h']],
    [{ maxWait: true }, kind, ['maxWait', 'boolean']],
    [{ maxWait: null }, kind, ['maxWait', 'null']],
    [{ maxwait: 5 }, unknown, ['maxwait', '`maxWait`']],
    [{ signal: {} }, kind, ['signal', 'AbortSignal', 'object']],
    [{ signal: null }, kind, ['signal', 'null']],
    [{ cost: 0 }, costRange, ['cost', alone(0)]],
    [{ cost: 11 }, costRange, ['cost', alone(11)]],
    [{ cost: '1' }, costKind, ['cost', '1']],
    [{ cost: 1n }, costKind, ['cost', 'bigint']],
    [{ limit: 5 }, kind, ['`limit`', 'window']],
    [{ limit: 5n, window: '1m' }, kind, ['limit', 'bigint']],
    [{ action: '' }, range, ['action']],
    [{ cots: 1 }, unknown, ['acquire', 'cots', /\bcost\b/]],
    [{ upTo: 1 }, unknown, ['acquire', 'upTo']],
    [{ timestamp: 1 }, unknown, ['acquire', 'timestamp']],
  ]) {
    test(`acquire with ${shown(options)}`, () =>
      rejects(() => limiter.acquire('a', options), { ...error, says }, 'acquire'))
  }

  test('a bad cost is refused behind others, too, and is no burden to them', async () => {
    const busy = new RateLimiter({ limit: 2, window: '1h' })
    await busy.acquire('a', { cost: 2 })
    const giveUp = new AbortController()
    const first = busy.acquire('a', { signal: giveUp.signal })
    const bad = [3, '1', 1n, NaN].map((cost) => rejectionOf(() => busy.acquire('a', { cost }), `a cost of ${cost}`))
    const patient = busy.acquire('a', { maxWait: '2h', signal: giveUp.signal })
    for (const refusal of await Promise.all(bad)) assert.equal(refusal.code, 'ERR_RATE_LIMIT_COST')
    giveUp.abort()
    for (const waiting of [first, patient]) await assert.rejects(waiting, { name: 'AbortError' })
    await busy.close()
  })

  test("with clock: 'timestamps' each call says when it happened", async () => {
    const replay = new RateLimiter({ ...GOOD, clock: 'timestamps' })
    for (const [method, ...args] of [
      ['check'],
      ['isAllowed'],
      ['peek'],
      ['refund'],
      ['penalty'],
      ['block', 5],
      ['checkRequest'],
    ]) {
      await rejects(() => replay[method]('a', ...args), { ...kind, says: ['timestamp', "clock: 'timestamps'"] }, method)
    }
    throws(() => replay.isAllowedSync('a'), { ...kind, says: ['timestamp'] }, 'isAllowedSync')
    assert.equal((await replay.check('a', { timestamp: 5 })).remaining, 9, 'nothing was counted')
    await replay.close()
  })

  test('nothing that was refused has been counted', async () => {
    const { allowed, denied } = limiter.stats()
    assert.deepEqual({ allowed, denied }, { allowed: 0, denied: 0 })
    assert.equal((await limiter.peek('a')).remaining, 10)
    await limiter.close()
  })
})

describe('DistributedRateLimiter', { timeout: 30_000 }, () => {
  const own = { maxRequests: 5, timeWindowMs: 1_000 }
  for (const [options, error, says] of [
    [null, kind, ['options', 'null']],
    [5, kind, ['options', alone(5)]],
    [[], kind, ['options', 'array']],
    ['redis://localhost', kind, ['options', 'redis']],
    [{ maxRequests: 5 }, kind, ['window', 'nothing']],
    [{ timeWindowMs: 5 }, kind, ['limit', 'nothing']],
    [{ ...own, maxRequests: 0 }, range, ['maxRequests', alone(0)]],
    [{ ...own, maxRequests: '5' }, kind, ['maxRequests', '5']],
    [{ ...own, maxRequests: null }, kind, ['maxRequests', 'null']],
    [{ ...own, timeWindowMs: 0 }, range, ['timeWindowMs', alone(0)]],
    [{ ...own, limit: 5 }, kind, ['`maxRequests`', '`limit`']],
    [{ ...own, window: 5 }, kind, ['`timeWindowMs`', '`window`']],
    [{ ...own, limits: [{ ...GOOD, name: 'a' }] }, kind, ['`maxRequests`', '`limits`']],
    [{ ...own, fallbackMaxRequests: 0 }, range, ['fallbackMaxRequests', alone(0)]],
    [{ ...own, fallbackMaxRequests: null }, kind, ['fallbackMaxRequests', 'null']],
    [{ ...own, fallbackTimeWindowMs: -1 }, range, ['fallbackTimeWindowMs', '-1']],
    [{ ...own, fallbackMaxRequests: 5, fallback: {} }, kind, ['`fallbackMaxRequests`', '`fallback`']],
    [{ fallbackMaxRequests: 5 }, kind, ['fallbackMaxRequests', "'configured'"]],
    [{ ...own, windwo: 1 }, unknown, ['windwo', 'timeWindowMs']],
  ]) {
    test(`options that are ${shown(options)}`, () =>
      throws(() => new DistributedRateLimiter(options), { ...error, says }, shown(options)))
  }

  const limiter = new DistributedRateLimiter()
  for (const [args, error, says] of [
    [['u', ''], range, ['action', "''"]],
    [['u', 5, 1, 1], kind, ['action', alone(5)]],
    [['u', undefined, 1, 1], kind, ['action', 'nothing']],
    [['u', null, 1, 1], kind, ['action', 'null']],
    [['u', {}, 1, 1], kind, ['action', 'object']],
    [['u', 'a'.repeat(129), 1, 1], range, ['action', '128']],
    [['u', 'x'], kind, ['limit', 'nothing']],
    [['u', 'x', 0, 1], range, ['limit', alone(0)]],
    [['u', 'x', -1, 1], range, ['limit', '-1']],
    [['u', 'x', 1.5, 1], range, ['limit', alone(1.5)]],
    [['u', 'x', NaN, 1], range, ['limit', 'NaN']],
    [['u', 'x', '1', 1], kind, ['limit', "'1'"]],
    [['u', 'x', 2 ** 32 + 1, 1], range, ['limit', /4,?294,?967,?297/]],
    [['u', 'x', 1], kind, ['timeWindow', 'nothing', 'seconds']],
    [['u', 'x', 1, 0], range, ['timeWindow', alone(0)]],
    [['u', 'x', 1, 0.5], range, ['timeWindow', alone(0.5)]],
    [['u', 'x', 1, Infinity], range, ['timeWindow', 'Infinity']],
    [['u', 'x', 1, '60'], kind, ['timeWindow', "'60'"]],
    [['', 'x', 1, 1], badKey, ['key', 'empty']],
    [[undefined, 'x', 1, 1], badKey, ['key', 'nothing']],
    [[5, 'x', 1, 1], badKey, ['key', alone(5)]],
    [['u', null], kind, ['options', 'null']],
    [['u'], { type: Error, code: 'ERR_RATE_LIMIT_NO_LIMIT' }, ['configure']],
  ]) {
    test(`isAllowed(${args.map(shown).join(', ')})`, () =>
      rejects(() => limiter.isAllowed(...args), { ...error, says }, 'isAllowed'))
  }

  for (const [args, error, says] of [
    [['u'], kind, ['rateLimit', 'windowMs', 'nothing']],
    [['u', 5], kind, ['rateLimit', 'windowMs', alone(5)]],
    [['u', []], kind, ['rateLimit', 'array']],
    [['u', {}], kind, ['limit', 'nothing']],
    [['u', { limit: 5 }], kind, ['windowMs', 'nothing']],
    [['u', { limit: 0, windowMs: 5 }], range, ['limit', alone(0)]],
    [['u', { limit: 5, windowMs: 0 }], range, ['windowMs', alone(0)]],
    [['u', { limit: 5, windowMs: 5, burst: 1 }], unknown, ['burst']],
    [['', { limit: 5, windowMs: 5 }], badKey, ['key']],
    [[5, null], badKey, ['key']],
  ]) {
    test(`configureRateLimit(${args.map(shown).join(', ')})`, () =>
      throws(() => limiter.configureRateLimit(...args), { ...error, says }, 'configureRateLimit'))
  }
})
