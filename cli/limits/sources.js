// Who says which limits an application has: a file, its fleet, or the command line.
'use strict'

const { UsageError } = require('../failure.js')
const { numbersOf } = require('../options.js')
const { limitsOfFile, limitsShared, saysLimit } = require('./documents.js')

/** Options that say so; the numbers of a limit are the third way. */
const SOURCES = {
  policies: { type: 'string', value: '<file>', help: 'Its limits are those of this file of policies' },
  shared: { type: 'boolean', help: 'Its limits are those that a fleet shares in this Redis' },
  name: { type: 'string', value: '<name>', help: 'With --shared: which policies. Default: default' },
}

/** What the command line says, before any Redis is asked: a function of the Redis that promises `{ options, policies }`. */
function sourceOf(values) {
  const { policies: file, shared, name, algorithm } = values
  const numbers = numbersOf(values)
  if (name !== undefined && !shared) throw new UsageError('--name is for --shared')
  const own = { ...numbers, ...(algorithm !== undefined && { algorithm }) }
  if (shared) {
    const other = file !== undefined ? '--policies' : Object.keys(own).length > 0 ? 'numbers of a limit' : undefined
    if (other !== undefined) throw new UsageError(`--shared and ${other} were both given: give one of them`)
    return (redis) => ofFleet(redis, values)
  }
  if (file !== undefined) {
    const found = { options: ofFile(file, own), policies: { file } }
    return async () => found
  }
  if (numbers === undefined) {
    throw new UsageError(
      'it must be said which limits there are: give --policies <file>, --shared, or --limit and --window',
    )
  }
  const found = { options: ofNumbers(own, values), policies: undefined }
  return async () => found
}

async function ofFleet(redis, { prefix, name = 'default' }) {
  const { limits, ...stored } = await limitsShared(redis, { prefix, name })
  return { options: withoutFallback(limits), policies: { shared: name, ...stored } }
}

/** Whoever shares a fallback announces itself to its fleet, to which the tool does not belong. */
function withoutFallback({ fallback: _, limits, actions, ...others }) {
  const without = ({ fallback: _, ...limit }) => limit
  return {
    ...others,
    ...(limits && { limits: limits.map(without) }),
    ...(actions && {
      actions: Object.fromEntries(Object.entries(actions).map(([name, each]) => [name, without(each)])),
    }),
  }
}

function ofFile(path, own) {
  const options = { ...own, ...limitsOfFile(path, own) }
  if (!saysLimit(options)) {
    throw new UsageError('the file leaves the limit to the application: give its --limit and --window')
  }
  return withoutFallback(options)
}

/** Whoever says the numbers means one limit: that of the action, where one is named. */
const ofNumbers = (own, { action }) => (action === undefined ? own : { ...own, actions: { [action]: own } })

module.exports = { SOURCES, sourceOf }
