// Ends a block.
'use strict'

const { changeKey, OPTIONS, TOLD, WHERE } = require('../change.js')

module.exports = {
  name: 'unblock',
  arguments: ['key'],
  summary: 'Ends the block of a key: what it has used stays used',
  description: [WHERE, TOLD],
  options: OPTIONS,
  examples: ['unblock mallory', 'unblock 192.0.2.1 --limit-name address'],
  run: (given) =>
    changeKey(given, {
      change: (states, name) => states.unblock(name),
      done: (key, limits) => `Unblocked ${key}: ${limits}.`,
    }),
}
