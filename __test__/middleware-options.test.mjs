/** Every option of the middleware that is refused, with the code and the words that help; on all frameworks alike. */

import assert from 'node:assert/strict'
import { describe, test } from 'node:test'

import { RateLimiter } from 'distributed-rate-limiter'
import { withBackoff, backoff } from 'distributed-rate-limiter/client'
import { rateLimit as express } from 'distributed-rate-limiter/express'
import { rateLimit as fastifyLimit } from 'distributed-rate-limiter/fastify'
import { rateLimit as hono } from 'distributed-rate-limiter/hono'
import { rateLimit as http } from 'distributed-rate-limiter/http'
import { byApiKey, byHeader, byUser, fields, together } from 'distributed-rate-limiter/keys'
import { rateLimit as koa } from 'distributed-rate-limiter/koa'
import { RateLimit, RateLimitGuard } from 'distributed-rate-limiter/nest'
import fastify from 'fastify'

import { assertRefusal, rejectionOf, thrownBy } from './support/refusal.mjs'

const limiter = new RateLimiter({ limit: 1, window: '1m' })
const several = new RateLimiter({
  limits: [
    { name: 'a', by: 'user', limit: 1, window: '1m' },
    { name: 'b', by: 'ip', limit: 1, window: '1m' },
  ],
})

const OPTION = 'ERR_RATE_LIMIT_OPTION'
const UNKNOWN = 'ERR_RATE_LIMIT_UNKNOWN_OPTION'
const wrong = (options, says, type = TypeError, code = OPTION) => ({ options, type, code, says })

const REFUSED = [
  wrong(undefined, ['`options`', '{ limiter }', 'nothing']),
  wrong(null, ['`options`', 'null']),
  wrong([], ['`options`', 'an array']),
  wrong({}, ['`limiter`', 'a RateLimiter', 'nothing']),
  wrong({ limiter: {} }, ['`limiter`', 'a RateLimiter', 'an object']),
  wrong({ limiter: RateLimiter }, ['`limiter`', 'a function']),
  wrong({ limiter, key: 'ip' }, ['`key`', 'a function', "the string 'ip'"]),
  wrong({ limiter, key: null }, ['`key`', 'null']),
  wrong({ limiter: several }, ['`key`', '`user`', '`ip`']),
  wrong({ limiter, cost: '5' }, ['`cost`', "the string '5'"]),
  wrong({ limiter, action: 5 }, ['`action`', '5']),
  wrong({ limiter, skip: true }, ['`skip`', 'a boolean']),
  wrong({ limiter, onDenied: 'no' }, ['`onDenied`', 'a function']),
  wrong({ limiter, status: '429' }, ['`status`', '400 to 599']),
  wrong({ limiter, status: 200 }, ['`status`', '400 to 599', '200'], RangeError),
  wrong({ limiter, status: 429.5 }, ['`status`', '429.5'], RangeError),
  wrong({ limiter, headers: 'draft' }, ['`headers`', '{ legacy: true }']),
  wrong({ limiter, headers: null }, ['`headers`', 'null']),
  wrong({ limiter, headers: { legacy: 1 } }, ['`headers.legacy`', 'true or false', '1']),
  wrong({ limiter, headers: { draft: 'draft-8' } }, ['`headers.draft`', "the string 'draft-8'"]),
  wrong({ limiter, headers: { partitionKey: null } }, ['`headers.partitionKey`', 'null']),
  wrong({ limiter, headers: { quotaUnit: 5 } }, ['`headers.quotaUnit`', 'content-bytes']),
  wrong({ limiter, headers: { quotaUnit: 'a"b' } }, ['`headers.quotaUnit`', 'a"b'], RangeError),
  wrong(
    { limiter, headers: { legaci: true } },
    ['`headers` has no `legaci`: did you mean `legacy`?'],
    TypeError,
    UNKNOWN,
  ),
  wrong({ limiter, message: 5 }, ['`message`', '5']),
  wrong({ limiter, message: null }, ['`message`', 'null']),
  wrong({ limiter, countOnly: 'all' }, ['`countOnly`', "'failed' or 'successful'", "the string 'all'"], RangeError),
  wrong({ limiter, countOnly: true }, ['`countOnly`', 'a boolean']),
  wrong({ limiter, queue: '5s' }, ['`queue`', '{ maxWait:', "the string '5s'"]),
  wrong({ limiter, queue: { maxwait: '5s' } }, ['`queue`', '`maxwait`', '`maxWait`'], TypeError, UNKNOWN),
  wrong({ limiter, queue: { maxWait: 'long' } }, ['`queue.maxWait`', '0 to 1 day', "the string 'long'"], RangeError),
  wrong({ limiter, queue: { maxWait: '2d' } }, ['`queue.maxWait`', "the string '2d'"], RangeError),
  wrong({ limiter, queue: { maxWait: -1 } }, ['`queue.maxWait`', '-1'], RangeError),
  wrong({ limiter, queue: { maxWait: NaN } }, ['`queue.maxWait`', 'NaN'], RangeError),
  wrong({ limiter, queue: { maxWait: null } }, ['`queue.maxWait`', 'null']),
  wrong({ limiter, trustProxy: true }, ['`trustProxy`', 'a number of proxies', 'a boolean']),
  wrong({ limiter, trustProxy: 'loopback' }, ['`trustProxy`', "the string 'loopback'"], RangeError),
  wrong({ limiter, trustProxy: -1 }, ['`trustProxy`', '-1'], RangeError),
  wrong({ limiter, trustProxy: 1.5 }, ['`trustProxy`', '1.5'], RangeError),
  wrong({ limiter, trustProxy: {} }, ['`trustProxy`', 'nothing']),
  wrong({ limiter, trustProxy: { hops: 1, header: 'x-real-ip' } }, ['`trustProxy.header`', "'forwarded'"], RangeError),
  wrong({ limiter, trustProxy: { hop: 1 } }, ['`trustProxy`', '`hop`', '`hops`'], TypeError, UNKNOWN),
  wrong({ limiter, ipv6Prefix: '56' }, ['`ipv6Prefix`', '32 to 128']),
  wrong({ limiter, ipv6Prefix: 16 }, ['`ipv6Prefix`', '16'], RangeError),
  wrong({ limiter, ipv6Prefix: 129 }, ['`ipv6Prefix`', '129'], RangeError),
  wrong({ limiter, skpi: () => {} }, ['`skpi`', 'did you mean `skip`'], TypeError, UNKNOWN),
  wrong({ limiter, ondenied: () => {} }, ['`ondenied`', 'did you mean `onDenied`'], TypeError, UNKNOWN),
  wrong(
    { limiter, windowMs: 60_000 },
    ['the middleware has no `windowMs`: it knows limiter, ', ', countOnly'],
    TypeError,
    UNKNOWN,
  ),
]

const named = ({ options }) =>
  options === undefined
    ? 'nothing'
    : JSON.stringify(options, (key, value) => {
        if (key === 'limiter') return '…'
        return typeof value === 'function' ? 'function' : Number.isNaN(value) ? 'NaN' : value
      })

for (const [name, make] of Object.entries({
  http,
  express,
  koa,
  hono,
  nest: (options) => new RateLimitGuard(options),
})) {
  describe(name, () => {
    for (const refused of REFUSED) {
      test(named(refused), () =>
        assertRefusal(
          thrownBy(() => make(refused.options), 'it'),
          refused,
          'it',
        ),
      )
    }
  })
}

describe('fastify', () => {
  const register = async (options, config) => {
    const app = fastify()
    await app.register(fastifyLimit, options)
    if (config !== undefined) app.get('/', { config }, async () => 'hello')
    await app.close()
  }

  for (const refused of REFUSED) {
    // Fastify itself makes an object of nothing.
    if (typeof refused.options !== 'object' || refused.options === null || Array.isArray(refused.options)) continue
    test(named(refused), async () => {
      assertRefusal(await rejectionOf(() => register(refused.options), 'it'), refused, 'it')
      if (refused.options.limiter === undefined) return
      const config = { rateLimit: refused.options }
      assertRefusal(await rejectionOf(() => register({ limiter }, config), 'the route'), refused, 'the route')
    })
  }

  for (const refused of [
    wrong({ limiter, hook: 'onResponse' }, ['`hook`', "'preHandler'", "the string 'onResponse'"], RangeError),
    wrong({ limiter, hook: 5 }, ['`hook`', '5']),
  ]) {
    test(named(refused), async () => {
      assertRefusal(await rejectionOf(() => register(refused.options), 'it'), refused, 'it')
    })
  }

  for (const [config, says, code = OPTION] of [
    [5, ['`config.rateLimit`', '5']],
    [null, ['`config.rateLimit`', 'null']],
    [{ hook: 'onRequest' }, ['`hook`'], UNKNOWN],
  ]) {
    test(`config.rateLimit: ${JSON.stringify(config)}`, async () => {
      const error = await rejectionOf(() => register({ limiter }, { rateLimit: config }), 'it')
      assertRefusal(error, { type: TypeError, code, says }, 'it')
    })
  }
})

describe('others', () => {
  for (const [what, call, says, type = TypeError, code = OPTION] of [
    ["framework's setting, of http", () => http({ limiter, trustProxy: 'framework' }), ['`trustProxy`'], RangeError],
    ["framework's setting, of hono", () => hono({ limiter, trustProxy: 'framework' }), ['`trustProxy`'], RangeError],
    ['byHeader(5)', () => byHeader(5), ['`name`', '5']],
    ["byHeader('a b')", () => byHeader('a b'), ['`name`', "the string 'a b'"], RangeError],
    ["byApiKey('')", () => byApiKey(''), ['`name`'], RangeError],
    ['byUser()', () => byUser(), ['`byUser`', 'nothing']],
    ['together()', () => together(), ['`together`', 'nothing']],
    ["together('ip')", () => together('ip'), ['`together`', "the string 'ip'"]],
    ['fields()', () => fields(), ['`fields`', 'nothing']],
    ["fields({ ip: 'ip' })", () => fields({ ip: 'ip' }), ['`fields.ip`', "the string 'ip'"]],
    ['RateLimit()', () => RateLimit(), ['`RateLimit`', 'nothing']],
    ['RateLimit(true)', () => RateLimit(true), ['`RateLimit`', 'a boolean']],
    ['backoff()', () => backoff(), ['`response`', 'nothing']],
    ['backoff({})', () => backoff({}), ['`response`', 'an object']],
    ['withBackoff()', () => withBackoff(), ['`fetch`', 'nothing']],
    ['retries: 1.5', () => withBackoff(fetch, { retries: 1.5 }), ['`retries`', '1.5'], RangeError],
    ["retries: '3'", () => withBackoff(fetch, { retries: '3' }), ['`retries`']],
    ["maxWait: '5 parsecs'", () => withBackoff(fetch, { maxWait: '5 parsecs' }), ['`maxWait`', 'parsecs'], RangeError],
    ['options: null', () => withBackoff(fetch, null), ['`options`', 'null']],
    ['retry: 3', () => withBackoff(fetch, { maxwait: 3 }), ['`maxwait`', '`maxWait`'], TypeError, UNKNOWN],
  ]) {
    test(what, () => assertRefusal(thrownBy(call, what), { type, code, says }, what))
  }
})

test('whatever Object.prototype has, only what the options say themselves is read', (t) => {
  t.after(() => {
    for (const name of ['status', 'headers', 'queue', 'trustProxy']) delete Object.prototype[name]
  })
  Object.assign(Object.prototype, { status: 'polluted', headers: 5, queue: 5, trustProxy: 'polluted' })
  assert.equal(typeof http({ limiter }), 'function')
})
