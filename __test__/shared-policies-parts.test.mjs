/** Which of the policies that Redis tells of are in force: what is told is handed in, as the script would tell it. */

import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { createRequire } from 'node:module'
import { test } from 'node:test'

const { SharedPolicies } = createRequire(import.meta.url)('../lib/policies/shared.js')

/** One that notes what is applied and what is refused, and is told what is `stored`. */
function made() {
  const seen = { applied: [], refused: [], asked: [], answer: [] }
  seen.policies = new SharedPolicies(
    { policies: 'shared', limit: 1, window: '1m' },
    {
      apply: ({ limit }) => seen.applied.push(limit),
      publish: async (asked) => (seen.asked.push(asked), seen.answer),
      refuse: ({ message }) => seen.refused.push(message),
    },
  )
  seen.stored = (version, limit, at, { damaged = false } = {}) => {
    const text = JSON.stringify({ version: 1, limit, window: '1m' })
    const sum = createHash('sha256')
      .update(damaged ? `${text} ` : text)
      .digest('hex')
    const details = [String(version), text, sum, String(at)]
    seen.policies.heard([details.join(' '), '', 'stored', ...details])
  }
  return seen
}

test('a damage is told once, and again where something right was there meanwhile', () => {
  const { refused, stored } = made()
  stored(1, 10, 5, { damaged: true })
  stored(1, 10, 5, { damaged: true })
  assert.equal(refused.length, 1)
  stored(1, 10, 5)
  stored(1, 10, 5, { damaged: true })
  assert.equal(refused.length, 2)
})

test('the same document as another version is that version', () => {
  const { applied, policies, stored } = made()
  stored(1, 10, 5)
  stored(2, 10, 6)
  assert.equal(policies.current().version, 2)
  assert.deepEqual(applied, [10, 10])
})

test('the same version with another time was published then, and is not applied again', () => {
  const { applied, policies, stored } = made()
  stored(1, 10, 5_000)
  const { since } = policies.current()
  stored(1, 10, 7_000)
  assert.deepEqual([policies.current().publishedAt, policies.current().since], [7, since])
  assert.deepEqual(applied, [10])
})

test('what is neither of a later version nor of a later time is a Redis that has gone back', () => {
  const { applied, refused, stored } = made()
  stored(5, 10, 5_000)
  stored(4, 20, 5_000)
  stored(4, 30, 4_999)
  assert.deepEqual([applied, refused.length], [[10], 2])
  assert.match(refused[0], /gone back to version 4/)
  stored(4, 40, 5_001)
  stored(5, 50, 5_001)
  assert.deepEqual(applied, [10, 40, 50])
})

test('a version that is no number which can be counted on is none', () => {
  const { applied, refused, stored } = made()
  stored('9999999999999999', 10, 5_000)
  assert.deepEqual(applied, [])
  assert.match(refused[0], /no number/)
})

test('who publishes against a Redis that has lost everything hears of the version in force here', async () => {
  const seen = made()
  seen.stored(5, 10, 5_000)
  seen.answer = ['none', 'refused', 'none']
  const refused = seen.policies.publish({ limit: 1, window: '1m' }, { ifVersion: 3 })
  await assert.rejects(refused, { code: 'ERR_RATE_LIMIT_POLICIES_CONFLICT', version: 5 })
})

test('what others will read is judged, and not what was given', async () => {
  const seen = made()
  seen.answer = ['1', 'written', 'stored', '1']
  // No option as it stands, and a duration as JSON.
  assert.deepEqual(await seen.policies.publish({ limit: 1, window: new String('1m') }), { version: 1 })
  assert.ok(seen.asked[0].endsWith('{"limit":1,"window":"1m"}'))
})
