// The whole terminal, for a view that is drawn again and again; given back as it was, however this process ends.
'use strict'

const { writeSync } = require('node:fs')
const { cutStyled } = require('./text.js')

const ENTER = '\x1b[?1049h\x1b[?25l\x1b[2J'
const LEAVE = '\x1b[?25h\x1b[?1049l'
const [CTRL_C, CTRL_D, CTRL_L, CTRL_Z] = ['\x03', '\x04', '\x0c', '\x1a']
const ENDING = ['SIGINT', 'SIGTERM', 'SIGHUP']

class Screen {
  #output
  #input
  #keys
  #onResize
  #isOpen = false
  #undo = []

  /** `onKey(key)` is told of each key; `onLeave(signal)` when it is to end; `onResize()` when it is to be drawn anew. */
  constructor({ output = process.stdout, input = process.stdin, onKey, onLeave, onResize }) {
    this.#output = output
    this.#input = input
    this.#onResize = onResize
    this.#keys = (text) => {
      for (const key of text) {
        if (key === CTRL_C || key === CTRL_D) onLeave()
        else if (key === CTRL_Z) this.#suspend()
        else if (key === CTRL_L) onResize()
        else onKey(key)
      }
    }
    this.#on(output, 'resize', onResize)
    for (const signal of ENDING) this.#on(process, signal, () => onLeave(signal))
    // Who was stopped from outside finds the terminal as others have left it.
    this.#on(process, 'SIGCONT', () => this.#again())
    // Whatever else ends this process passes here; a crash before Node says why, so that it can be read.
    this.#on(process, 'exit', () => this.#leave())
    this.#enter()
  }

  get columns() {
    return this.#output.columns || 80
  }

  get rows() {
    return this.#output.rows || 24
  }

  /** Draws lines from the top, as far as there is room: one that is too long would move all below it. */
  draw(lines) {
    const shown = lines.slice(0, this.rows).map((line) => `${cutStyled(line, this.columns)}\x1b[0m\x1b[K`)
    // Each line is overwritten in place, and what is below is cleared: nothing flickers.
    if (this.#isOpen) this.#output.write(`\x1b[H${shown.join('\r\n')}\x1b[J`)
  }

  close() {
    this.#leave()
    for (const undo of this.#undo.splice(0)) undo()
  }

  #on(emitter, event, listener) {
    emitter.on(event, listener)
    this.#undo.push(() => emitter.off(event, listener))
  }

  #enter() {
    if (this.#isOpen) return
    this.#isOpen = true
    // Keys first: whoever sees the view may press one.
    if (this.#input.isTTY) {
      this.#input.setRawMode(true)
      this.#input.setEncoding('utf8').on('data', this.#keys).resume()
    }
    this.#output.write(ENTER)
  }

  #leave() {
    if (!this.#isOpen) return
    this.#isOpen = false
    if (this.#input.isTTY) {
      this.#input.setRawMode(false)
      this.#input.off('data', this.#keys).pause()
    }
    try {
      // At once, since nothing is written later where this process is about to end.
      writeSync(this.#output.fd, LEAVE)
    } catch {
      // The terminal itself is gone.
    }
  }

  #suspend() {
    this.#leave()
    process.kill(process.pid, 'SIGTSTP')
    // Where it was stopped, this comes when it goes on; where nobody could have it go on, it is not stopped at all.
    setImmediate(() => this.#again())
  }

  #again() {
    // Somebody else may have set the terminal's mode meanwhile, so what is known of it is not relied upon.
    this.#leave()
    this.#enter()
    this.#onResize()
  }
}

module.exports = { Screen }
