// What Redis answers (RESP2), read as it arrives: a reply may come in any number of pieces, and several in one.
'use strict'

/** An error that Redis has answered, as it says it. `kind` is its first word, such as NOPERM. */
class ReplyError extends Error {
  constructor(message) {
    super(message)
    this.kind = message.split(' ', 1)[0]
  }
}

/** What answers is no Redis. */
class ProtocolError extends Error {}

const CR = 13
const [STRING, ERROR, NUMBER, BULK, ARRAY] = [...'+-:$*'].map((sign) => sign.charCodeAt(0))
const LONGEST_LINE = 64 * 1024
const LONGEST_BULK = 512 * 1024 * 1024

class ReplyReader {
  /** Pieces that have arrived and are not read yet, and how long they are together. */
  #pieces = []
  #length = 0
  /** The arrays that are being filled, outermost first: `{ values, missing }`. */
  #arrays = []
  /** How long the bulk string is whose bytes come next; undefined before its head. */
  #bulk

  /**
   * Takes what has arrived, and returns the replies that are whole now: strings as Buffers, numbers, `null`, arrays of
   * these, and errors as ReplyError. Throws ProtocolError for what is no reply.
   */
  take(piece) {
    this.#pieces.push(piece)
    this.#length += piece.length
    const replies = []
    for (let read; (read = this.#read()) !== undefined;) {
      const reply = this.#into(read.value)
      if (reply !== undefined) replies.push(reply.value)
    }
    return replies
  }

  /** The next value, in `{ value }`; undefined until it has wholly arrived. An array's head is none. */
  #read() {
    for (;;) {
      if (this.#bulk !== undefined) {
        const length = this.#bulk
        // Nothing is joined before all is there, so a large string is copied once.
        if (this.#length < length + 2) return undefined
        this.#bulk = undefined
        return { value: this.#cut(length + 2).subarray(0, length) }
      }
      const line = this.#line()
      if (line === undefined) return undefined
      const text = () => line.toString('utf8', 1)
      switch (line[0]) {
        case STRING:
          return { value: line.subarray(1) }
        case ERROR:
          return { value: new ReplyError(text()) }
        case NUMBER:
          return { value: Number(text()) }
        case BULK:
          if (text() === '-1') return { value: null }
          this.#bulk = size(text(), LONGEST_BULK)
          break
        case ARRAY: {
          if (text() === '-1') return { value: null }
          const missing = size(text(), 2 ** 32)
          if (missing === 0) return { value: [] }
          this.#arrays.push({ values: [], missing })
          break
        }
        default:
          throw new ProtocolError('what answers there does not speak as Redis does')
      }
    }
  }

  /** Puts a value where it belongs. The reply in `{ value }` where that makes it whole. */
  #into(value) {
    for (;;) {
      const array = this.#arrays.at(-1)
      if (array === undefined) return { value }
      array.values.push(value)
      array.missing -= 1
      if (array.missing > 0) return undefined
      value = this.#arrays.pop().values
    }
  }

  #line() {
    if (this.#length === 0) return undefined
    const bytes = this.#joined()
    const end = bytes.indexOf('\r\n')
    if (end === -1 && bytes.length > LONGEST_LINE) {
      throw new ProtocolError('what answers there does not speak as Redis does')
    }
    return end === -1 ? undefined : this.#cut(end + 2).subarray(0, end)
  }

  #joined() {
    if (this.#pieces.length > 1) this.#pieces = [Buffer.concat(this.#pieces)]
    return this.#pieces[0]
  }

  #cut(length) {
    const bytes = this.#joined()
    if (bytes[length - 2] !== CR) throw new ProtocolError('what answers there does not speak as Redis does')
    this.#pieces = bytes.length === length ? [] : [bytes.subarray(length)]
    this.#length -= length
    return bytes.subarray(0, length)
  }
}

function size(text, most) {
  if (!/^\d+$/.test(text) || Number(text) > most) {
    throw new ProtocolError('what answers there does not speak as Redis does')
  }
  return Number(text)
}

/** A command in bytes; arguments are strings, numbers or Buffers. */
function encodeCommand(args) {
  const parts = [Buffer.from(`*${args.length}\r\n`)]
  for (const arg of args) {
    const bytes = Buffer.isBuffer(arg) ? arg : Buffer.from(String(arg))
    parts.push(Buffer.from(`$${bytes.length}\r\n`), bytes, Buffer.from('\r\n'))
  }
  return Buffer.concat(parts)
}

module.exports = { encodeCommand, ProtocolError, ReplyError, ReplyReader }
