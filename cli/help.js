// What --help says, made of what the commands say of themselves.
'use strict'

const { pad, width } = require('./terminal/text.js')

const NAME = 'distributed-rate-limiter'
const MOST_COLUMNS = 100
const INDENT = 2

/** Breaks a text into lines of so many columns. */
function wrap(text, columns) {
  const lines = ['']
  for (const word of text.split(' ')) {
    if (width(lines.at(-1)) + 1 + width(word) > columns && lines.at(-1) !== '') lines.push(word)
    else lines[lines.length - 1] += lines.at(-1) === '' ? word : ` ${word}`
  }
  return lines
}

/** Pairs in two columns: a word, and what it means. */
function pairs(list, columns) {
  const first = Math.min(30, Math.max(...list.map(([word]) => width(word)))) + 2
  return list.flatMap(([word, meaning]) =>
    wrap(meaning, Math.max(20, columns - first - INDENT)).map(
      (line, at) => `${' '.repeat(INDENT)}${pad(at === 0 ? word : '', first)}${line}`,
    ),
  )
}

const columnsOf = (stream) => Math.min(MOST_COLUMNS, stream.columns || MOST_COLUMNS)

/** Of the tool. */
function generalHelp(commands, { style, stream }) {
  const columns = columnsOf(stream)
  return [
    ...wrap('Looks at what a rate limiter counts in Redis, changes it, and measures.', columns),
    '',
    style.bold('Usage'),
    `  npx ${NAME} <command> [options]`,
    '',
    style.bold('Commands'),
    ...pairs(
      commands.map((command) => [usage(command), `${command.summary}.`]),
      columns,
    ),
    '',
    style.bold('Options'),
    ...pairs(
      [
        ['-h, --help', 'Says this; after a command, what that command takes.'],
        ['--version', 'The version of this package.'],
      ],
      columns,
    ),
    '',
    ...wrap(
      'Redis is the one that the environment variable REDIS_URL names, or --redis-url. Colours: NO_COLOR and FORCE_COLOR. Exit codes: 0, 1 for a failure, 2 for a command line that is not understood.',
      columns,
    ),
  ]
}

const usage = ({ name, arguments: names, optional = [] }) =>
  [name, ...names.map((each) => `<${each}>`), ...optional.map((each) => `[${each}]`)].join(' ')

/** Of one command. */
function commandHelp(command, { style, stream }) {
  const columns = columnsOf(stream)
  const option = ([name, { short, value }]) => `${short ? `-${short}, ` : ''}--${name}${value ? ` ${value}` : ''}`
  return [
    ...wrap(`${command.summary}.`, columns),
    '',
    style.bold('Usage'),
    `  npx ${NAME} ${usage(command)} [options]`,
    '',
    ...command.description.flatMap((text) => [...wrap(text, columns), '']),
    style.bold('Options'),
    ...pairs(
      Object.entries(command.options).map((each) => [option(each), `${each[1].help}.`]),
      columns,
    ),
    '',
    style.bold('Examples'),
    ...command.examples.map((example) => `  npx ${NAME} ${example}`),
  ]
}

/** The command that was probably meant. */
function likely(word, names) {
  const [best] = names.map((name) => [distance(word, name), name]).sort(([one], [other]) => one - other)
  return best[0] <= 2 ? best[1] : undefined
}

/** By how many signs two words differ (Levenshtein). */
function distance(one, other) {
  let row = [...Array(other.length + 1).keys()]
  for (let i = 1; i <= one.length; i += 1) {
    const next = [i]
    for (let j = 1; j <= other.length; j += 1) {
      next[j] = Math.min(next[j - 1] + 1, row[j] + 1, row[j - 1] + (one[i - 1] === other[j - 1] ? 0 : 1))
    }
    row = next
  }
  return row.at(-1)
}

module.exports = { commandHelp, generalHelp, likely }
