// Refuses every call on a key for some time.
'use strict'

const { changeKey, OPTIONS, TOLD, WHERE } = require('../change.js')
const { judge } = require('../options.js')

module.exports = {
  name: 'block',
  arguments: ['key', 'duration'],
  summary: 'Refuses every call on a key for so long',
  description: [
    `${WHERE} A key of which nothing is stored yet is blocked where --limit-name and --algorithm say how it will be called.`,
    TOLD,
  ],
  options: OPTIONS,
  examples: ['block mallory 1h', 'block 192.0.2.1 7d --limit-name address --algorithm sliding-window'],
  async run(given) {
    const [, duration] = given.positionals
    // A limiter in memory knows which durations there are.
    await judge({ limit: 1, window: '1s' }, (limiter) => limiter.block('key', duration))
    return changeKey(given, {
      change: (states, name) => states.block(name, duration),
      done: (key, limits) => `Blocked ${key} for ${duration}: ${limits}.`,
      mayBeNew: true,
    })
  },
}
