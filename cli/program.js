// The tool without its process: which command is meant, and how it ended.
'use strict'

const { version } = require('../package.json')
const { explain, INTERRUPTED, Interrupted, OK, USAGE, UsageError } = require('./failure.js')
const { commandHelp, generalHelp, likely } = require('./help.js')
const { parse } = require('./options.js')
const { styles, wantsColour } = require('./terminal/style.js')
const { printable } = require('./terminal/text.js')

const COMMANDS = [
  'inspect',
  'explain',
  'top',
  'watch',
  'block',
  'unblock',
  'reset',
  'policies',
  'validate',
  'bench',
].map((name) => require(`./commands/${name}.js`))

/** Does what a command line says, and answers with the exit code. Nothing is thrown that somebody could have expected. */
async function main(args, { stdout = process.stdout, stderr = process.stderr } = {}) {
  const style = styles(wantsColour(stdout))
  const print = (lines) => void stdout.write(`${[lines].flat().join('\n')}\n`)
  try {
    return await obey(args, { stdout, style, print })
  } catch (error) {
    return fail(error, stderr)
  }
}

async function obey([word, ...args], given) {
  const { stdout, style, print } = given
  if (word === '--version') {
    print(version)
    return OK
  }
  if (word === undefined || word === '--help' || word === '-h' || (word === 'help' && args.length === 0)) {
    print(generalHelp(COMMANDS, { style, stream: stdout }))
    // Without a word of what is wanted nothing was done.
    return word === undefined ? USAGE : OK
  }
  if (word === 'help') return obey([args[0], '--help'], given)
  const command = COMMANDS.find(({ name }) => name === word)
  if (command === undefined) throw new UsageError(unknown(word))
  try {
    return await run(command, args, given)
  } catch (error) {
    // So that what is said in the end can name its help.
    if (error instanceof UsageError) error.command = command.name
    throw error
  }
}

async function run(command, args, { stdout, style, print }) {
  const { values, positionals } = parse(command, args)
  if (!values.help) return (await command.run({ values, positionals, stdout, style, print })) ?? OK
  print(commandHelp(command, { style, stream: stdout }))
  return OK
}

function unknown(word) {
  const names = COMMANDS.map(({ name }) => name)
  const meant = likely(word, names)
  // What is no word of a command may be a URL with a password.
  const shown = /^[\w-]{1,32}$/.test(word) ? `'${word}' is no command` : 'the first word must be a command'
  return `${shown}: ${meant ? `did you mean '${meant}'?` : `there are ${names.join(', ')}`}`
}

function fail(error, stderr) {
  if (error instanceof Interrupted) return INTERRUPTED
  const { text, code } = explain(error)
  const { red } = styles(wantsColour(stderr))
  const words = ['npx distributed-rate-limiter', error.command, '--help'].filter(Boolean)
  const help = code === USAGE ? `\nTry: ${words.join(' ')}` : ''
  stderr.write(`${red('error:')} ${text.split('\n').map(printable).join('\n')}${help}\n`)
  return code
}

module.exports = { COMMANDS, main }
