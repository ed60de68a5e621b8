// A file that is followed: what it says is in force as soon as it has stood there unchanged for a moment, and for as long as nothing
// else that is right stands there.
'use strict'

const { watch } = require('node:fs')
const { readFile, stat } = require('node:fs/promises')
const { basename, dirname } = require('node:path')

/** How long a text must stand still: whoever writes in place may be in the midst of it. */
const SETTLE_MS = 50

/** How often the file is looked at where nothing is told of it: on a network's disk, and where it is a link to another. */
const POLL_MS = 1_000

class PolicyFile {
  #path
  #hooks
  #current
  /** What was read last and has not stood long enough, or was told as wrong. */
  #seen
  #told
  #stamp
  #watcher
  #poll
  #timer
  #isReading = false
  #isStopped = false

  /**
   * `text` is what is in force. `apply(text)` throws where it is not right, and then nothing has changed; `fail(error)` is told once of each
   * text that is not. Neither keeps the process alive. `read` is how the file is read.
   */
  constructor(path, text, { apply, fail, read = readFile }) {
    this.#path = path
    this.#current = text
    this.#hooks = { apply, fail, read }
    this.#poll = setInterval(() => this.#lookAtStamp(), POLL_MS).unref()
    this.#listen()
  }

  stop() {
    this.#isStopped = true
    clearInterval(this.#poll)
    clearTimeout(this.#timer)
    this.#watcher?.close()
  }

  /** Of the folder: an editor that replaces the file leaves a watcher of the file with the old one. */
  #listen() {
    const name = basename(this.#path)
    try {
      this.#watcher = watch(dirname(this.#path), { persistent: false }, (_, file) => {
        if (file === null || file === name) this.#soon()
      })
      // The folder itself is gone, or there are too many watchers: looking at it now and then is left.
      this.#watcher.on('error', () => this.#watcher.close())
    } catch {
      this.#watcher = undefined
    }
  }

  #soon() {
    if (this.#isStopped) return
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => this.#look(), SETTLE_MS).unref()
  }

  async #lookAtStamp() {
    const stamp = await stat(this.#path).then(
      ({ mtimeMs, size, ino }) => `${mtimeMs} ${size} ${ino}`,
      ({ code }) => code,
    )
    if (stamp !== this.#stamp) this.#soon()
    this.#stamp = stamp
  }

  async #look() {
    if (this.#isReading) return this.#soon()
    this.#isReading = true
    const found = await this.#hooks.read(this.#path, 'utf8').then(
      (text) => ({ text, id: `text ${text}` }),
      (error) => ({ error, id: `error ${error.code}` }),
    )
    this.#isReading = false
    if (this.#isStopped) return undefined
    if (found.id !== this.#seen) {
      this.#seen = found.id
      return this.#soon()
    }
    return this.#settle(found)
  }

  #settle({ text, error, id }) {
    if (text === this.#current) {
      this.#told = undefined
      return
    }
    if (id === this.#told) return
    try {
      if (error !== undefined) throw error
      this.#hooks.apply(text)
      this.#current = text
      this.#told = undefined
    } catch (reason) {
      this.#told = id
      this.#hooks.fail(reason)
    }
  }
}

module.exports = { PolicyFile }
