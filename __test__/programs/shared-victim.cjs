/**
 * Calls on shared memory until it is killed, and says after each few calls how many units it was told that it has.
 *
 * Arguments: the options as JSON, and how many calls it makes between two words. A word is a line: the units of the key
 * `audit`, and of the key `small`. It is no module, since many are started and those are at work later.
 */
'use strict'

const { writeSync } = require('node:fs')

const { RateLimiter } = require('distributed-rate-limiter')

const [options, burst] = process.argv.slice(2)
const { audit, small, brief } = JSON.parse(options)
const [auditor, strict, fast] = [audit, small, brief].map((options) => new RateLimiter(options))

for (;;) {
  const told = [0, 0]
  for (let call = 0; call < Number(burst); call += 1) {
    told[0] += auditor.isAllowedSync('audit')
    told[1] += strict.isAllowedSync('small')
    for (const key of ['a', 'b', 'c', 'd']) fast.isAllowedSync(key)
  }
  // In one write, as a whole or not at all.
  writeSync(1, `${told.join(' ')}\n`)
}
