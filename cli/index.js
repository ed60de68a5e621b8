#!/usr/bin/env node
// The program `distributed-rate-limiter`: which command is meant, and how it ended.
'use strict'

const { version } = require('../package.json')
const { explain, INTERRUPTED, Interrupted, OK, USAGE, UsageError } = require('./failure.js')
const { commandHelp, generalHelp, likely } = require('./help.js')
const { parse } = require('./options.js')
const { styles, wantsColour } = require('./terminal/style.js')
const { printable } = require('./terminal/text.js')

const COMMANDS = ['inspect', 'top', 'watch', 'block', 'unblock', 'reset', 'bench'].map((name) =>
  require(`./commands/${name}.js`),
)

const style = styles(wantsColour(process.stdout))
const print = (lines) => void process.stdout.write(`${[lines].flat().join('\n')}\n`)

async function main([word, ...args]) {
  if (word === '--version') {
    print(version)
    return OK
  }
  if (word === undefined || word === '--help' || word === '-h' || (word === 'help' && args.length === 0)) {
    print(generalHelp(COMMANDS, { style, stream: process.stdout }))
    // Without a word of what is wanted nothing was done.
    return word === undefined ? USAGE : OK
  }
  if (word === 'help') return main([args[0], '--help'])
  const command = COMMANDS.find(({ name }) => name === word)
  if (command === undefined) throw new UsageError(unknown(word))
  try {
    return await run(command, args)
  } catch (error) {
    // So that what is said in the end can name its help.
    if (error instanceof UsageError) error.command = command.name
    throw error
  }
}

async function run(command, args) {
  const { values, positionals } = parse(command, args)
  if (!values.help) return (await command.run({ values, positionals, style, print })) ?? OK
  print(commandHelp(command, { style, stream: process.stdout }))
  return OK
}

function unknown(word) {
  const names = COMMANDS.map(({ name }) => name)
  const meant = likely(word, names)
  // What is no word of a command may be a URL with a password.
  const shown = /^[\w-]{1,32}$/.test(word) ? `'${word}' is no command` : 'the first word must be a command'
  return `${shown}: ${meant ? `did you mean '${meant}'?` : `there are ${names.join(', ')}`}`
}

function fail(error) {
  if (error instanceof Interrupted) return INTERRUPTED
  const { text, code } = explain(error)
  const { red } = styles(wantsColour(process.stderr))
  const words = ['npx distributed-rate-limiter', error.command, '--help'].filter(Boolean)
  const help = code === USAGE ? `\nTry: ${words.join(' ')}` : ''
  process.stderr.write(`${red('error:')} ${text.split('\n').map(printable).join('\n')}${help}\n`)
  return code
}

// Whoever reads the output may have had enough: `| head`.
for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', (error) => {
    if (error.code !== 'EPIPE' && error.code !== 'EIO') throw error
    process.exit(OK)
  })
}

// Who lists processes sees a command line, and a URL in it may have a password.
process.title = 'distributed-rate-limiter'

main(process.argv.slice(2)).then(
  (code) => (process.exitCode = code),
  (error) => (process.exitCode = fail(error)),
)
