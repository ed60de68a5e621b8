// A live view of what is counted in a Redis, or of what a running application decides.
'use strict'

const { UsageError } = require('../failure.js')
const { milliseconds, OUTPUT, REDIS, WHICH, whole } = require('../options.js')
const { Application } = require('../watch/application.js')
const { Log, Viewer } = require('../watch/audience.js')
const { Store } = require('../watch/store.js')

const HOUR = 3_600_000

const command = {
  name: 'watch',
  arguments: [],
  summary: 'Shows live what happens in Redis: calls, limits, top keys, blocked keys; or in an application',
  description: [
    'On a terminal a view that is drawn anew each second; q or ctrl-c leaves. Elsewhere a line each second, with --json an object.',
    "Script calls are those of all limiters on this Redis: each carries up to 128 decisions. Instances are those that have announced themselves, as limiters with fallback: { share: 'fleet' } do. Keys are gone through by SCAN, again and again, a slice each second.",
    'With --url it follows the dashboard of an application instead, as distributed-rate-limiter/dashboard serves it: what is allowed and refused, by whom, and how fast.',
  ],
  options: {
    every: { type: 'string', value: '<time>', default: '1s', help: 'How often. Default: 1s' },
    count: { type: 'string', value: '<times>', help: 'Ends after so many times' },
    match: { type: 'string', value: '<glob>', help: "Only keys like this, such as 'user:*'" },
    ...WHICH,
    url: { type: 'string', value: '<url>', help: 'Where the dashboard of an application is, instead of a Redis' },
    header: {
      type: 'string',
      multiple: true,
      value: '<line>',
      help: "With --url: a header of the request, such as 'Cookie: …'",
    },
    ...OUTPUT,
    ...REDIS,
  },
  examples: [
    'watch',
    'watch --every 5s --limit-name address',
    'watch --json --count 60 > minute.ndjson',
    'watch --url http://localhost:3000/limits',
  ],
  run,
}

async function run({ values, stdout, style, print }) {
  const every = milliseconds('every', values.every, HOUR)
  const times = values.count === undefined ? Infinity : whole('count', values.count, 1, 1e9)
  if (values.url !== undefined && values['redis-url'] !== undefined) {
    throw new UsageError('--url follows an application and --redis-url a Redis: give one of them')
  }
  const source = values.url === undefined ? new Store(values) : new Application(values.url, values.header)
  try {
    // What is wrong from the beginning is said before the screen is taken.
    await source.begin()
    return await show(source, { every, times, values, stdout, style, print })
  } finally {
    await source.close()
  }
}

async function show(source, { every, times, values, stdout, style, print }) {
  const { json } = values
  const audience = stdout.isTTY && !json ? new Viewer(source, style) : new Log(source, { print, json })
  try {
    for (let done = 0; done < times && !audience.isOver; done += 1) {
      const began = performance.now()
      const reading = source.read(every)
      // Whoever leaves does not wait for an answer, which may then be what it likes.
      reading.catch(() => {})
      await Promise.race([reading, audience.over])
      if (audience.isOver) break
      audience.show()
      if (done + 1 < times) await audience.pause(Math.max(0, began + every - performance.now()))
    }
    return audience.code
  } finally {
    audience.close()
  }
}

module.exports = command
