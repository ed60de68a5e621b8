// Documents of policies: a file's, and those that a fleet shares, each as options of a limiter.
'use strict'

const { readFileSync } = require('node:fs')
const { StoreError, UsageError } = require('../failure.js')
const native = require('../../lib/native.js')
const { readDocument } = require('../../lib/policies/document.js')
const { judge } = require('../../lib/policies/index.js')
const { SharedPolicies } = require('../../lib/policies/shared.js')

/** The hash of those that a fleet shares. */
const policiesKey = (prefix, name) => Buffer.from(`${prefix}:policies:${name}`)

function contents(path) {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    throw new UsageError(`the file cannot be read: ${error.message}`)
  }
}

/** Whether options say what the limit is. */
const saysLimit = (options) => ['limit', 'window', 'limits'].some((name) => options[name] !== undefined)

/** A file may leave the limit to the application: then any will do for judging the rest. */
const judgeAlone = (options) => judge({ ...(saysLimit(options) ? {} : { limit: 1, window: '1s' }), ...options })

/** What a file says. `given` is what the application says beside it. Throws an error with all `problems`. */
function limitsOfFile(path, given) {
  if (!/\.(?:ya?ml|json)$/.test(path)) throw new UsageError('the name of the file must end in .yaml, .yml or .json')
  return readDocument(contents(path), { name: path, judge: judgeAlone, given })
}

/** What a fleet shares under a name, after the checks of its limiters: `{ version, publishedAt, limits }`. */
async function limitsShared(redis, { prefix, name }) {
  const key = policiesKey(prefix, name)
  const fields = await redis.callOn(key, 'HMGET', key, 'version', 'document', 'sum', 'at')
  if (fields.every((field) => field === null)) throw new StoreError(`No policies of the name ${name} are stored`)
  let limits
  const apply = (found) => {
    native.checkOptions(found)
    limits = found
  }
  const refuse = (error) => {
    throw error
  }
  const shared = new SharedPolicies({}, { apply, refuse })
  shared.heard(['', '', 'stored', ...fields.map((field) => field?.toString() ?? '')])
  const { version, publishedAt } = shared.current()
  return { version, publishedAt, limits }
}

module.exports = { contents, limitsOfFile, limitsShared, policiesKey, saysLimit }
