// The addon, or an error that says what to do where Node's permission model does not let it be loaded.
'use strict'

const { refusal } = require('./errors.js')

/** Whether somewhere among the loader's reasons is that addons are forbidden; it wraps each into the next. */
function isForbidden(error) {
  for (let reason = error; reason instanceof Error; reason = reason.cause) {
    if (reason.code === 'ERR_DLOPEN_DISABLED' || /loading addons is disabled/.test(reason.message)) return true
  }
  return false
}

function load() {
  try {
    return require('../binding.js')
  } catch (error) {
    if (!isForbidden(error)) throw error
    const message =
      'the limiter is a native addon, and this process may not load any: start node with --allow-addons beside --permission, or without --no-addons'
    throw Object.assign(refusal(Error, 'ERR_RATE_LIMIT_ADDON', message), { cause: error })
  }
}

module.exports = load()
