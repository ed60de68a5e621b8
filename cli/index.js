#!/usr/bin/env node
// The program `distributed-rate-limiter`.
'use strict'

const { OK } = require('./failure.js')
const { main } = require('./program.js')

// Whoever reads the output may have had enough: `| head`.
for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', (error) => {
    if (error.code !== 'EPIPE' && error.code !== 'EIO') throw error
    process.exit(OK)
  })
}

// Who lists processes sees a command line, and a URL in it may have a password.
process.title = 'distributed-rate-limiter'

main(process.argv.slice(2)).then((code) => (process.exitCode = code))
