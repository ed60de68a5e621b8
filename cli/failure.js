// What goes wrong, in a sentence that says what to do; and the exit code that belongs to it.
'use strict'

const OK = 0
const FAILURE = 1
const USAGE = 2
/** As a shell says it of a program that was ended by ctrl-c. */
const INTERRUPTED = 130

/** The command line is not what is expected. */
class UsageError extends Error {}

/** Redis, or what was asked of it, fails. `isAway`: it may be back later. */
class StoreError extends Error {
  constructor(message, { isAway = false, cause } = {}) {
    super(message, { cause })
    this.isAway = isAway
  }
}

/** Whoever used the tool has ended it. */
class Interrupted extends Error {}

/** What to do about what Redis says, by its first word, or by Node's code. */
const ADVICE = {
  NOAUTH: 'Put the password into the URL: redis://:password@host:6379, best in the environment variable REDIS_URL.',
  WRONGPASS: 'Look at the user and the password in the URL.',
  NOPERM: 'Use a Redis user with more rights: docs/cli.md says which a command needs.',
  CLUSTERDOWN: 'Wait until the cluster serves all slots again.',
  LOADING: 'Redis is loading its data: try again in a moment.',
  MOVED: 'This is a Redis Cluster: add --cluster.',
  ECONNREFUSED: 'Start it, or name another by --redis-url or REDIS_URL.',
  ENOTFOUND: 'Look at the host in the URL.',
  ENOENT: 'Look at the path in the URL.',
  SELF_SIGNED_CERT_IN_CHAIN: 'Name the authority of its certificate by --ca.',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'Name the authority of its certificate by --ca.',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'Name the authority of its certificate by --ca.',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: 'Name the authority of its certificate by --ca.',
  ERR_TLS_CERT_ALTNAME_INVALID: 'Use the name that the certificate has, or say it by --server-name.',
}

/** An error as the tool shows it: `{ text, code }`. */
function explain(error) {
  if (error instanceof UsageError) return { text: error.message, code: USAGE }
  const cause = error.cause?.errors?.[0] ?? error.cause
  const advice = ADVICE[error.kind] ?? ADVICE[cause?.code] ?? ''
  const known = error instanceof StoreError || error.kind !== undefined || /^ERR_RATE_LIMIT_/.test(error.code ?? '')
  // What nobody has foreseen is a defect, and its place is what helps.
  const said = known ? sentence(error.message) : (error.stack ?? String(error))
  return { text: advice ? `${said} ${advice}` : said, code: FAILURE }
}

const sentence = (text) => (/[.?!]$/.test(text) ? text : `${text}.`)

module.exports = { explain, FAILURE, Interrupted, INTERRUPTED, OK, StoreError, USAGE, UsageError }
