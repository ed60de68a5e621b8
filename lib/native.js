// The addon, or an error that says what to do where there is none for this system, or where it may not be loaded.
'use strict'

const { refusal } = require('./errors.js')
const { whyNoAddon } = require('./platform.js')

const FORBIDDEN =
  'the limiter is a native addon, and this process may not load any: start node with --allow-addons beside --permission, or without --no-addons'

/** The loader's reasons: it has one for each place where it looked, and wraps each into the next. */
function reasonsOf(error) {
  const reasons = []
  for (let reason = error; reason instanceof Error; reason = reason.cause) reasons.push(reason)
  return reasons
}

const isForbidden = ({ code, message }) => code === 'ERR_DLOPEN_DISABLED' || /loading addons is disabled/.test(message)

/** None was found, or the system would not have it. What an addon itself throws is neither. */
const isAbsent = ({ code, message }) => code === 'ERR_DLOPEN_FAILED' || message.startsWith('Cannot find native binding')

function load() {
  try {
    return require('../binding.js')
  } catch (error) {
    const reasons = reasonsOf(error)
    const fail = (code, message) => Object.assign(refusal(Error, code, message), { cause: error })
    if (reasons.some(isForbidden)) throw fail('ERR_RATE_LIMIT_ADDON', FORBIDDEN)
    if (reasons.some(isAbsent)) throw fail('ERR_RATE_LIMIT_PLATFORM', whyNoAddon(reasons))
    throw error
  }
}

module.exports = load()
