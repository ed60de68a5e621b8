// A text of policies as options: YAML, of which JSON is a part. What is wrong is told with its line, its column and its field.
'use strict'

const { refusal } = require('../errors.js')
const native = require('../native.js')
const { own } = require('../own.js')

/** What a document may say of limits. Where they are kept, and what a process may take, is its application's affair. */
const FIELDS = native.describingOptions

const VERSION = 1
const LONGEST = 16 * 1024 * 1024
const MOST_PROBLEMS = 20

/** Lists whose members nothing else refers to: without one of them all else is as right or wrong as before. */
const LISTS = ['allow', 'deny', 'overrides', 'actions']

/**
 * Where something is wrong, and what; line and column count from 1, and are left out where they are not known.
 * @typedef {{ line?: number, column?: number, field?: string, message: string }} Problem
 */

/** An error about a document, with every problem that was found. */
function invalid(name, problems) {
  const { line, column, message } = problems[0]
  const place = line === undefined ? name : `${name}:${line}:${column}`
  const more = problems.length > 1 ? ` (and ${problems.length - 1} more)` : ''
  return Object.assign(refusal(Error, 'ERR_RATE_LIMIT_POLICIES', `${place}: ${message}${more}`), { problems })
}

/** The parser, which an application that has such files installs. */
function parser() {
  try {
    return require('yaml')
  } catch (error) {
    if (error.code !== 'MODULE_NOT_FOUND') throw error
    const message =
      'policies in YAML are read by the package yaml, which is not installed: run `npm install yaml`, or write JSON'
    throw Object.assign(refusal(Error, 'ERR_RATE_LIMIT_POLICIES', message), { cause: error, problems: [{ message }] })
  }
}

/**
 * The options that a text says, checked. `judge(options)` throws what the limiter's constructor would; `given` are options that it has beside
 * these. Throws an error with all `problems`.
 */
function readDocument(text, { name, judge, given = {} }) {
  if (text.length > LONGEST) throw invalid(name, [{ message: 'the file is larger than 16 MiB' }])
  const document = name.endsWith('.json') ? parseJson(text, name) : parseYaml(parser(), text, name)
  const { value } = document
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw invalid(name, [{ line: 1, column: 1, message: 'the file must be an object with `version: 1` and a limit' }])
  }
  const problems = []
  const report = (path, message) =>
    problems.push({ ...document.placeOf(path), ...(path.length > 0 && { field: shownPath(path) }), message })
  const options = own(value)
  if (options.version !== VERSION) {
    report(
      'version' in options ? ['version'] : [],
      'the file must say `version: 1`, by which later forms can be told apart',
    )
  }
  for (const field of Object.keys(options)) {
    if (field === 'version' || field === '$schema') delete options[field]
    else if (!FIELDS.includes(field)) {
      report([field], `policies have no \`${field}\`: they know ${FIELDS.join(', ')}`)
      delete options[field]
    } else if (given[field] !== undefined) {
      report([field], `\`${field}\` is said here and by the application: leave one of them out`)
      delete options[field]
    }
  }
  if (typeof options.policies === 'string') {
    report(['policies'], '`policies` must be an object here: a file cannot name another')
    delete options.policies
  }
  check(options, (copy) => judge({ ...given, ...copy }), report)
  if (problems.length > 0) throw invalid(name, problems.sort(byPlace))
  return options
}

const byPlace = (one, other) => (one.line ?? 0) - (other.line ?? 0) || (one.column ?? 0) - (other.column ?? 0)

/** Has it judged again without what was wrong, for as long as that leaves the rest as it is. */
function check(options, judge, report) {
  const copy = structuredClone({ ...options })
  for (let count = 0; count < MOST_PROBLEMS; count += 1) {
    try {
      return judge(copy)
    } catch (error) {
      if (!/^ERR_RATE_LIMIT_/.test(error.code ?? '')) throw error
      const path = pathOf(error.message, copy)
      report(path, error.message)
      const depth = Math.min(depthOf(path[0], copy), path.length - 1)
      if (!LISTS.includes(path[0]) || depth < 1) return undefined
      const list = path.slice(0, depth).reduce((at, step) => at[step], copy)
      // The places of what comes after it stay.
      if (Array.isArray(list)) list[path[depth]] = `\u0000${count}`
      else delete list[path[depth]]
    }
  }
  return undefined
}

/** How deep the members of a list lie: where limits count by fields of the key, each field has a list of its own. */
function depthOf(list, { limits }) {
  const countsByField = Array.isArray(limits) && limits.some((limit) => limit?.by !== undefined)
  return countsByField && list !== 'actions' ? 2 : 1
}

/** Of which field a refusal speaks: the last of those in it that are there. */
function pathOf(message, options) {
  const unknown = /^(?:RateLimiter|`([^`]*)`) has no `([^`]*)`/.exec(message)
  if (unknown) return [...resolve(unknown[1] ?? '', options), unknown[2]]
  const named = [...message.matchAll(/`([^`]*)`(?: of '((?:[^'\\]|\\.)*)')?/g)].map(([, path, name]) => {
    const steps = resolve(path, options)
    const list = steps.reduce((at, step) => at[step], options)
    return name !== undefined && Object.hasOwn(Object(list), name) ? [...steps, name] : steps
  })
  const isPair = /match the same/.test(message)
  const found = named.filter((path) => path.length > 0)
  return (isPair ? found.at(-1) : found[0]) ?? []
}

/** `overrides.user:42.limit` as steps, as far as they are there: a name may have dots in it. */
function resolve(path, options) {
  const steps = []
  let at = options
  let rest = path
  while (rest !== '' && typeof at === 'object' && at !== null) {
    const index = /^\[(\d+)\]/.exec(rest)
    const names = Object.keys(at).filter(
      (name) => rest === name || rest.startsWith(`${name}.`) || rest.startsWith(`${name}[`),
    )
    const step = index ? Number(index[1]) : names.sort((one, other) => other.length - one.length)[0]
    if (step === undefined) return steps
    steps.push(step)
    at = at[step]
    rest = rest.slice(index ? index[0].length : step.length).replace(/^\./, '')
  }
  return steps
}

const shownPath = (path) =>
  path.map((step, at) => (typeof step === 'number' ? `[${step}]` : at === 0 ? step : `.${step}`)).join('')

function parseYaml(yaml, text, name) {
  const counter = new yaml.LineCounter()
  const document = yaml.parseDocument(text, {
    lineCounter: counter,
    prettyErrors: false,
    schema: 'core',
    version: '1.2',
  })
  const at = (offset) => {
    const { line, col } = counter.linePos(offset)
    return { line, column: col }
  }
  // A tag that is not known is read as if it were not there, and means something else to who has written it.
  const wrong = [...document.errors, ...document.warnings]
  if (wrong.length > 0) {
    throw invalid(
      name,
      wrong.slice(0, MOST_PROBLEMS).map(({ pos, message }) => ({ ...at(pos[0]), message })),
    )
  }
  const placeOf = (path) => {
    let place = at(0)
    let node = document.contents
    for (const step of path) {
      const pair = node?.items?.find(({ key }) => key !== undefined && String(key.value ?? key) === step)
      const next = yaml.isSeq(node) ? node.items[step] : pair?.value
      const offset = (pair?.key ?? next)?.range?.[0]
      if (offset === undefined) break
      place = at(offset)
      node = yaml.isAlias(next) ? next.resolve(document) : next
    }
    return place
  }
  try {
    return { value: document.toJS(), placeOf }
  } catch (error) {
    throw invalid(name, [{ message: error.message }])
  }
}

/** With the parser of YAML places are known; without it JSON can be read all the same. */
function parseJson(text, name) {
  try {
    JSON.parse(text)
  } catch (error) {
    const [, position] = /at position (\d+)/.exec(error.message) ?? []
    const before = position === undefined ? undefined : text.slice(0, Number(position)).split('\n')
    const place = before && { line: before.length, column: before.at(-1).length + 1 }
    throw invalid(name, [{ ...place, message: `this is no JSON: ${error.message}` }])
  }
  let yaml
  try {
    yaml = require('yaml')
  } catch {
    return { value: JSON.parse(text), placeOf: () => ({}) }
  }
  return parseYaml(yaml, text, name)
}

module.exports = { FIELDS, readDocument }
