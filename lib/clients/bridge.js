// Jobs that Rust has for the application's clients: each is done once, and what came of it is said once.
'use strict'

const { settleJob } = require('../native.js')

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

/** Has the limiter's adapter do a job. Never throws, whatever the client does. */
function work(limiter, job, name, ...details) {
  let reply
  try {
    reply = adapters.get(limiter)[name](...details)
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
