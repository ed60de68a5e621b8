// A bar that says how far long work is, on a terminal's error stream, where it disturbs no output.
'use strict'

const { count, time } = require('./text.js')

const WIDTH = 24
const EVERY_MS = 100
const PARTS = ['', '▏', '▎', '▍', '▌', '▋', '▊', '▉']

/** A part of a whole, in eighths of a column. */
function bar(part, columns = WIDTH) {
  const eighths = Math.round(Math.min(1, Math.max(0, part)) * columns * 8)
  const drawn = '█'.repeat(Math.floor(eighths / 8)) + PARTS[eighths % 8]
  return drawn + ' '.repeat(columns - [...drawn].length)
}

class Progress {
  #stream
  #title
  #began = performance.now()
  #shown = 0
  #isShown = false

  constructor(title, { stream = process.stderr, isWanted = true } = {}) {
    this.#title = title
    this.#stream = isWanted && stream.isTTY ? stream : undefined
  }

  /** So many of `total` `things` are done; `total` may not be known. */
  show(done, total, things) {
    const now = performance.now()
    if (!this.#stream || now - this.#shown < EVERY_MS) return
    this.#shown = now
    this.#isShown = true
    const part = total > 0 ? Math.min(1, done / total) : undefined
    const spent = now - this.#began
    const left = part > 0 && spent > 1_000 ? `, ${time((spent / part) * (1 - part))} left` : ''
    const text =
      part === undefined
        ? `${count(done)} ${things}`
        : `▕${bar(part)}▏ ${Math.floor(part * 100)} % of ${count(total)} ${things}${left}`
    this.#stream.write(`\r${this.#title} ${text}\x1b[K`)
  }

  /** Leaves the line as if nothing had been there. */
  end() {
    if (this.#isShown) this.#stream.write('\r\x1b[K')
    this.#isShown = false
  }
}

module.exports = { bar, Progress }
