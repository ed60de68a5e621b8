// To whom it is shown: somebody at a terminal, or a log.
'use strict'

const { constants } = require('node:os')
const { OK } = require('../failure.js')
const { Screen } = require('../terminal/screen.js')
const { printableJson } = require('../terminal/text.js')

/** As a shell says it of a program that a signal has ended. */
const SIGNALLED = 128

/** Waits, until it is enough. */
class Audience {
  code = OK
  isOver = false
  #resolve
  over = new Promise((resolve) => (this.#resolve = resolve))

  end(code = OK) {
    this.code = code
    this.isOver = true
    this.#resolve()
  }

  pause(ms) {
    let timer
    const passed = new Promise((resolve) => (timer = setTimeout(resolve, ms)))
    return Promise.race([passed, this.over]).finally(() => clearTimeout(timer))
  }
}

/** The whole terminal. */
class Viewer extends Audience {
  #source
  #style
  #screen

  constructor(source, style) {
    super()
    this.#source = source
    this.#style = style
    this.#screen = new Screen({
      onKey: (key) => {
        if (key === 'q' || key === 'Q') this.end()
      },
      // Ctrl-c is how one leaves it; a signal comes from somebody else.
      onLeave: (signal) =>
        this.end(signal === undefined || signal === 'SIGINT' ? OK : SIGNALLED + constants.signals[signal]),
      onResize: () => this.show(),
    })
  }

  show() {
    const { columns, rows } = this.#screen
    if (!this.isOver) this.#screen.draw(this.#source.frame({ columns, rows, style: this.#style }))
  }

  close() {
    this.#screen.close()
  }
}

/** A line each time. */
class Log extends Audience {
  #source
  #print
  #json
  #leave = () => this.end()

  constructor(source, { print, json }) {
    super()
    this.#source = source
    this.#print = print
    this.#json = json
    process.once('SIGINT', this.#leave)
  }

  show() {
    this.#print(this.#json ? printableJson(this.#source.json()) : this.#source.line())
  }

  close() {
    process.off('SIGINT', this.#leave)
  }
}

module.exports = { Log, Viewer }
