/** Limits of actions that are tried: each is counted by its action's name, and is in nobody's way. */

import assert from 'node:assert/strict'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { after, before, describe, test } from 'node:test'

import { RateLimiter } from 'distributed-rate-limiter'

import { startRedis } from '../scripts/redis.mjs'
import { ALGORITHMS } from './support/algorithms.mjs'
import { atMost } from './support/long.mjs'
import { thrownBy } from './support/refusal.mjs'
import { makers } from './support/stores.mjs'
import { until } from './support/wait.mjs'

const DAY = { window: '1d' }
const CHANNEL = 'distributed-rate-limiter:shadow'
const plain = ({ allowed, granted, limit, remaining }) => ({ allowed, granted, limit, remaining })
const tried = ({ allowed, limit, remaining }) => ({ allowed, limit, remaining })

let redis
before(async () => {
  redis = await startRedis()
})
after(() => redis?.stop())

for (const [store, make] of Object.entries(makers(() => redis))) {
  describe(`trials of actions, ${store}`, { timeout: atMost(60_000) }, () => {
    for (const algorithm of ALGORITHMS) {
      test(`a candidate by ${algorithm} does what it would do alone, and changes nothing`, async (t) => {
        const candidate = { limit: 4, ...DAY, algorithm }
        const both = make(t, { limit: 9, ...DAY, actions: { login: { limit: 6, ...DAY, candidate } } })
        const alone = make(t, { limit: 9, ...DAY, actions: { login: { limit: 6, ...DAY } } })
        const other = make(t, { limit: 9, ...DAY, actions: { login: candidate } })
        const counts = { agreed: 0, wouldDeny: 0, wouldAllow: 0 }
        for (let step = 0; step < 40; step += 1) {
          const options = { cost: 1 + ((step * 7) % 3), action: 'login' }
          const key = `k${(step * 5) % 4}`
          if (step % 9 === 8)
            await Promise.all([both, alone, other].map((each) => each.refund(key, 2, { action: 'login' })))
          const [told, ofAlone, ofOther] = [
            await both.check(key, options),
            await alone.check(key, options),
            await other.check(key, options),
          ]
          assert.deepEqual(plain(told), plain(ofAlone))
          assert.deepEqual(tried(told.shadow[0]), tried(ofOther))
          if (ofAlone.allowed === ofOther.allowed) counts.agreed += 1
          else counts[ofAlone.allowed ? 'wouldDeny' : 'wouldAllow'] += 1
        }
        assert.ok(Object.values(counts).filter((count) => count > 0).length > 1)
        assert.deepEqual(both.stats().shadow, { 'login/candidate': counts })
      })
    }

    test('is told apart from the limiter’s own, by stats, event, channel and explain', async (t) => {
      const limiter = make(t, {
        limit: 5,
        ...DAY,
        candidate: { limit: 2, ...DAY },
        actions: {
          'GET /a/:id': { limit: 5, ...DAY, candidate: { limit: 1, ...DAY } },
          free: { limit: 1, ...DAY, shadow: true },
          plain: { limit: 1, ...DAY },
        },
      })
      const [events, messages] = [[], []]
      const listener = (message) => messages.push(message)
      subscribe(CHANNEL, listener)
      t.after(() => unsubscribe(CHANNEL, listener))
      limiter.on('disagreement', (event) => events.push(event))
      const asked = ['GET /a/1', 'GET /a/2', 'free', 'free', 'plain', 'plain', 'other', 'other', 'other']
      const allowed = []
      for (const action of asked) allowed.push(await limiter.isAllowed('k', { action }))
      assert.deepEqual(allowed, [true, true, true, true, true, false, true, true, true])
      assert.deepEqual(limiter.stats().shadow, {
        candidate: { agreed: 2, wouldDeny: 1, wouldAllow: 0 },
        'GET /a/:id/candidate': { agreed: 1, wouldDeny: 1, wouldAllow: 0 },
        'free/default': { agreed: 1, wouldDeny: 1, wouldAllow: 0 },
      })
      await until(() => messages.length === 3, 'all of them are told')
      const shown = events.map(({ limit, action, would }) => [limit, action, would])
      assert.deepEqual(shown, [
        ['GET /a/:id/candidate', 'GET /a/:id', 'deny'],
        ['free/default', 'free', 'deny'],
        ['candidate', undefined, 'deny'],
      ])
      assert.deepEqual(
        messages.map(({ limiter, ...others }) => others),
        events,
      )
      for (const [action, roles, remaining] of [
        ['GET /a/3', [undefined, 'candidate'], [3, 0]],
        ['free', ['shadow'], [0]],
        ['other', [undefined, 'candidate'], [2, 0]],
      ]) {
        const { limits, allowed } = await limiter.explain('k', { action })
        assert.equal(allowed, true)
        assert.deepEqual([limits.map(({ role }) => role), limits.map((each) => each.remaining)], [roles, remaining])
      }
      const policies = limiter.policies().map(({ name, action, role }) => [name, action, role])
      assert.deepEqual(policies, [
        ['default', undefined, undefined],
        ['candidate', undefined, 'candidate'],
        ['default', 'GET /a/:id', undefined],
        ['candidate', 'GET /a/:id', 'candidate'],
        ['default', 'free', 'shadow'],
        ['default', 'plain', undefined],
      ])
    })

    test('a candidate would allow whom the action’s limit refuses, and an update ends it', async (t) => {
      const action = 'login'
      const actions = (more) => ({ [action]: { limit: 1, ...DAY, algorithm: 'token-bucket', ...more } })
      const limiter = make(t, { limit: 9, ...DAY, actions: actions() })
      await limiter.check('k', { action })
      limiter.update({ limit: 9, ...DAY, actions: actions({ candidate: { limit: 2, ...DAY } }) })
      const algorithms = limiter.policies().map(({ algorithm }) => algorithm)
      assert.deepEqual(algorithms, ['sliding-window', 'token-bucket', 'token-bucket'], 'it takes after its action')
      const events = []
      limiter.on('disagreement', ({ limit, would }) => events.push([limit, would]))
      assert.equal(await limiter.isAllowed('k', { action }), false)
      await until(() => events.length > 0, 'it is told')
      assert.deepEqual(events, [['login/candidate', 'allow']])
      limiter.update({ limit: 9, ...DAY, actions: actions() })
      assert.equal((await limiter.check('k', { action })).shadow, undefined)
      assert.deepEqual(limiter.stats().shadow, { 'login/candidate': { agreed: 0, wouldDeny: 0, wouldAllow: 1 } })
    })
  })
}

describe('what cannot be tried of actions', () => {
  const good = { limit: 1, window: '1m' }
  for (const [what, options, says] of [
    ['a shadow that is a word', { login: { ...good, shadow: 'yes' } }, ['`actions.login.shadow`', 'true or false']],
    [
      'a candidate without a window',
      { login: { ...good, candidate: { limit: 1 } } },
      ['`actions.login.candidate.window`'],
    ],
    ['both', { login: { ...good, shadow: true, candidate: good } }, ['`actions.login.candidate`', '`shadow`']],
    ['a fallback', { login: { ...good, shadow: true, fallback: good } }, ['`actions.login.fallback`', '`shadow`']],
  ]) {
    test(what, () => {
      const error = thrownBy(() => new RateLimiter({ ...good, actions: options }), what)
      assert.equal(error.code, 'ERR_RATE_LIMIT_OPTION')
      for (const words of says) assert.ok(error.message.includes(words), error.message)
    })
  }

  test('a fallback of a candidate, and in memory that processes share', () => {
    const actions = { login: { ...good, candidate: { ...good, fallback: good } } }
    const unknown = thrownBy(() => new RateLimiter({ ...good, actions }), 'a fallback')
    assert.equal(unknown.code, 'ERR_RATE_LIMIT_UNKNOWN_OPTION')
    assert.match(unknown.message, /`actions.login.candidate`/)
    const shared = { ...good, shared: 'trials-test', actions: { login: { ...good, shadow: true } } }
    const error = thrownBy(() => new RateLimiter(shared), 'shared')
    assert.match(error.message, /`shared` and `shadow`/)
  })
})
