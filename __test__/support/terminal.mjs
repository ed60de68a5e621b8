/** As much of a terminal as the command line uses: what stands on it after some output, and in which state it is. */

const SEQUENCE = /^\x1b\[(\??)([\d;]*)([A-Za-z])/ // eslint-disable-line no-control-regex

export class Terminal {
  /** Whether the other screen is shown, and the cursor is hidden. */
  isAlternate = false
  isCursorHidden = false
  #rows
  #columns
  #screens
  #at = { row: 0, column: 0 }
  #saved = { row: 0, column: 0 }
  #rest = ''

  constructor(rows, columns) {
    this.resize(rows, columns)
    this.#screens = [[], []]
  }

  resize(rows, columns) {
    this.#rows = rows
    this.#columns = columns
  }

  /** What stands on it, line by line. Styles are left out. */
  get lines() {
    return Array.from({ length: this.#rows }, (_, row) =>
      (this.#screen[row] ?? [])
        .map((sign) => sign ?? ' ')
        .join('')
        .trimEnd(),
    )
  }

  get text() {
    return this.lines.join('\n').trimEnd()
  }

  /**
   * Lines of what is drawn that were longer than the terminal is wide: a real one would have broken them, and moved everything below. Where
   * nothing is drawn, lines may be as long as they are: the stack of a crash has paths of this machine.
   */
  overflows = []

  get #screen() {
    return this.#screens[this.isAlternate ? 1 : 0]
  }

  write(text) {
    text = this.#rest + text
    this.#rest = ''
    while (text !== '') {
      if (text[0] === '\x1b') {
        const found = SEQUENCE.exec(text)
        if (!found) {
          if (text.length < 16) return void (this.#rest = text)
          throw new Error(`not known to this terminal: ${JSON.stringify(text.slice(0, 16))}`)
        }
        this.#obey(found)
        text = text.slice(found[0].length)
      } else {
        const [sign] = text
        this.#put(sign)
        text = text.slice(sign.length)
      }
    }
  }

  #obey([, isPrivate, numbers, name]) {
    const { row, column } = this.#at
    const number = Number(numbers || 0)
    if (isPrivate && number === 1049) {
      // The cursor of the one screen is where it was when the other is left.
      if (name === 'h') this.#saved = { ...this.#at }
      else this.#at = { ...this.#saved }
      this.isAlternate = name === 'h'
    } else if (isPrivate && number === 25) this.isCursorHidden = name === 'l'
    else if (name === 'H') this.#at = { row: 0, column: 0 }
    else if (name === 'K') this.#line(row).splice(column)
    else if (name === 'J') {
      if (number === 2) this.#screen.splice(0)
      else {
        this.#line(row).splice(column)
        this.#screen.splice(row + 1)
      }
    } else if (name !== 'm') throw new Error(`not known to this terminal: ${isPrivate}${numbers}${name}`)
  }

  #put(sign) {
    if (sign === '\r') this.#at.column = 0
    else if (sign === '\n') {
      if (this.#at.row < this.#rows - 1) this.#at.row += 1
      else this.#screen.shift()
    } else {
      const isWide = /[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uff00-\uff60]/.test(sign)
      if (this.#at.column >= this.#columns && this.isAlternate) this.overflows.push(this.#line(this.#at.row).join(''))
      this.#line(this.#at.row)[this.#at.column] = sign
      if (isWide) this.#line(this.#at.row)[this.#at.column + 1] = ''
      this.#at.column += isWide ? 2 : 1
    }
  }

  #line(row) {
    this.#screen[row] ??= []
    for (let column = this.#screen[row].length; column < this.#at.column; column += 1) this.#screen[row][column] = ' '
    return this.#screen[row]
  }
}
