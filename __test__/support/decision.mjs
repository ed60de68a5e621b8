/** What is true of every decision, whoever made it. */

import assert from 'node:assert/strict'
import { inspect } from 'node:util'

const FIELDS = [
  'allowed',
  'delayMs',
  'granted',
  'limit',
  'remaining',
  'resetAt',
  'retryAfter',
  'retryAfterMs',
  'source',
]

/** Checks what holds for every decision, then the fields in `expected`. Returns the decision. */
export function assertDecision(decision, expected = {}) {
  const shown = inspect(decision)
  const fields = 'name' in decision ? [...FIELDS, 'name', 'limits'].sort() : FIELDS
  assert.deepEqual(Object.keys(decision).sort(), fields, `a decision has these fields and no others: ${shown}`)
  const { allowed, granted, limit, remaining, retryAfterMs, retryAfter, resetAt, delayMs } = decision

  assert.equal(typeof allowed, 'boolean', `allowed is a boolean: ${shown}`)
  assert.ok(Number.isSafeInteger(limit) && limit >= 1, `limit is a whole number from 1: ${shown}`)
  assert.ok(Number.isSafeInteger(remaining) && remaining >= 0, `remaining is a whole number from 0: ${shown}`)
  assert.ok(remaining <= limit, `no more remains than the limit: ${shown}`)
  assert.ok(Number.isSafeInteger(granted) && granted >= 0 && granted <= limit, `granted is within the limit: ${shown}`)
  if (!allowed) assert.equal(granted, 0, `a denial takes nothing: ${shown}`)
  assert.ok(Number.isSafeInteger(retryAfterMs), `retryAfterMs is whole: ${shown}`)
  assert.equal(
    retryAfter,
    Math.ceil(retryAfterMs / 1_000),
    `retryAfter is retryAfterMs in seconds, rounded up: ${shown}`,
  )
  if (allowed) assert.equal(retryAfterMs, 0, `nothing to wait for when allowed: ${shown}`)
  else assert.ok(retryAfterMs >= 1, `a denial says how long to wait: ${shown}`)
  assert.ok(Number.isFinite(resetAt) && resetAt > 0, `resetAt is a time: ${shown}`)
  assert.ok(Number.isSafeInteger(delayMs) && delayMs >= 0, `delayMs is whole: ${shown}`)

  for (const [field, value] of Object.entries(expected)) {
    assert.equal(decision[field], value, `${field} is ${value}: ${shown}`)
  }
  return decision
}
