// Forgets a key.
'use strict'

const { changeKey, OPTIONS, TOLD, WHERE } = require('../change.js')

module.exports = {
  name: 'reset',
  arguments: ['key'],
  summary: 'Forgets a key: it has its whole limit again, and is blocked no longer',
  description: [WHERE, TOLD],
  options: OPTIONS,
  examples: ['reset alice', 'reset alice --action download'],
  run: (given) =>
    changeKey(given, {
      change: (states, name) => states.reset(name),
      done: (key, limits) => `Forgot ${key}: ${limits}.`,
    }),
}
