// Jobs that Rust has for the application's clients: each is done once, and what came of it is said once.
'use strict'

const { settleJob } = require('../../binding.js')

// Strong: a limiter that was dropped may have calls under way. Rust says when it asks nothing more.
const adapters = new Map()

/** From here on the limiter's jobs are the adapter's. */
function employ(limiter, adapter) {
  adapters.set(limiter, adapter)
}

/** Nothing more will be asked for this limiter. */
function release(limiter) {
  adapters.delete(limiter)
}

/** Has a script run. `bytes` are the keys, which end at `ends`, and the argument. Never throws, whatever the client does. */
function work(limiter, job, name, script, bytes, ends) {
  let reply
  try {
    let start = 0
    const keys = ends.map((end) => bytes.subarray(start, (start = end)))
    reply = adapters.get(limiter)[name](script, keys, [bytes.subarray(start)])
  } catch (error) {
    settleJob(job, said(error))
    return
  }
  Promise.resolve(reply)
    .then((reply) => settleJob(job, undefined, reply))
    .catch((error) => settleJob(job, said(error)))
}

/** What a client said when it failed, which may be anything. */
function said(error) {
  try {
    return String(error instanceof Error || typeof error?.message === 'string' ? error.message : error)
  } catch {
    return 'something that is no error was thrown'
  }
}

module.exports = { employ, release, work }
