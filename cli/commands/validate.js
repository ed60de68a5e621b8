// Says what is wrong in a file of policies, before a limiter is told of it.
'use strict'

const { FAILURE, OK } = require('../failure.js')
const { limitsOfFile } = require('../limits/documents.js')
const { OUTPUT } = require('../options.js')
const { printable, printableJson } = require('../terminal/text.js')

/** What is wrong; nothing where all is well. */
function problemsOf(path) {
  try {
    limitsOfFile(path)
    return []
  } catch (error) {
    if (error.problems === undefined) throw error
    return error.problems
  }
}

module.exports = {
  name: 'validate',
  arguments: ['file'],
  summary: 'Says whether a file of policies is right, and where it is not',
  description: [
    'It says what the limiter would: fields that nobody knows, values that are not accepted, patterns that match the same, policies that extend each other in a loop. Each with its line and column. Redis is not asked.',
    'The exit code is 0 where the file is right, and 1 where it is not.',
  ],
  options: OUTPUT,
  examples: ['validate limits.yaml', 'validate limits.json --json'],
  run: ({ values, positionals: [path], print }) => {
    const problems = problemsOf(path)
    if (values.json) print(printableJson({ file: path, valid: problems.length === 0, problems }, 2))
    else if (problems.length === 0) print(`${printable(path)} is right.`)
    else {
      const place = ({ line, column }) => (line === undefined ? '' : `:${line}:${column}`)
      print(problems.map((problem) => `${printable(path)}${place(problem)}: ${printable(problem.message)}`))
    }
    return problems.length === 0 ? OK : FAILURE
  },
}
