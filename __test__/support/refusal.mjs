/** Catching what a call refuses with, and checking that the refusal helps whoever reads it. */

import assert from 'node:assert/strict'

import { settles } from './wait.mjs'

/** What `action` throws. Fails when it returns. */
export function thrownBy(action, what) {
  try {
    action()
  } catch (error) {
    return error
  }
  assert.fail(`${what} was accepted`)
}

/** What the promise that `action` returns rejects with. Fails when it resolves, when `action` throws, and when there is no promise. */
export async function rejectionOf(action, what) {
  let promise
  try {
    promise = action()
  } catch (error) {
    assert.fail(`${what} threw at once instead of rejecting: ${error}`)
  }
  assert.ok(promise instanceof Promise, `${what} returned no promise`)
  const [outcome] = await settles(Promise.allSettled([promise]), what)
  assert.equal(outcome.status, 'rejected', `${what} was accepted`)
  return outcome.reason
}

/** `error` is of `type` (exactly: a RangeError is no TypeError), has `code`, and its message contains each of `says`. */
export function assertRefusal(error, { type, code, says = [] }, what) {
  assert.ok(error instanceof type, `${what}: a ${type.name} was expected, but it was ${error}`)
  assert.equal(error.code, code, `${what}: the code of "${error.message}"`)
  for (const part of says) {
    const said = part instanceof RegExp ? part.test(error.message) : error.message.includes(part)
    assert.ok(said, `${what}: ${part} is missing from the message "${error.message}"`)
  }
}
