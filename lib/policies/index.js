// The option `policies` where it is a path: the file's options become the limiter's own, and are followed.
'use strict'

const { readFileSync } = require('node:fs')
const { resolve } = require('node:path')
const native = require('../native.js')
const { badOption, refusal } = require('../errors.js')
const { own } = require('../own.js')
const { FIELDS, readDocument } = require('./document.js')
const { PolicyFile } = require('./file.js')

/** Throws what the constructor throws: it is the one that knows what a limiter can be made of. */
function judge(options) {
  const limits = Object.fromEntries(FIELDS.filter((field) => field in options).map((field) => [field, options[field]]))
  native.checkOptions(limits)
}

/**
 * `{ options, follow }`: the constructor's options with those of the file, where `policies` is a path, and what has changes of it applied.
 * `follow({ apply, fail })` answers with what stops it; `apply(options)` is given all that is said of limits.
 */
function openPolicies(options) {
  const isOptions = typeof options === 'object' && options !== null && !Array.isArray(options)
  const path = isOptions && Object.hasOwn(options, 'policies') ? options.policies : undefined
  if (typeof path !== 'string' || path === 'shared') return { options }
  if (!/\.(?:ya?ml|json)$/.test(path)) {
    throw badOption(
      RangeError,
      'policies',
      "an object of policies, 'shared', or the path of a file that ends in .yaml, .yml or .json",
      path,
    )
  }
  const { policies: _, ...beside } = own(options)
  const given = own(
    Object.fromEntries(FIELDS.filter((field) => field in beside).map((field) => [field, beside[field]])),
  )
  const read = (text) => readDocument(text, { name: path, judge, given })
  const text = contents(path)
  // An option of another name is the constructor's to refuse.
  const all = { ...beside, ...read(text) }
  const follow = ({ apply, fail }) =>
    new PolicyFile(resolve(path), text, {
      apply: (changed) => apply({ ...given, ...read(changed) }),
      fail: (error) => fail(error.code?.startsWith('ERR_RATE_LIMIT_') ? error : unreadable(path, error)),
    })
  return { options: all, follow }
}

function contents(path) {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    throw unreadable(path, error)
  }
}

function unreadable(path, error) {
  const message = `the file of \`policies\` cannot be read: ${error.message}`
  const problems = [{ message }]
  return Object.assign(refusal(Error, 'ERR_RATE_LIMIT_POLICIES', message), { cause: error, problems, path })
}

module.exports = { judge, openPolicies }
