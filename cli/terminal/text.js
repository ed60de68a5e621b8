// Text as a terminal shows it: harmless, cut to a width, numbers and times in words.
'use strict'

/** Whoever calls an application may choose its keys: nothing of theirs may move the cursor, hide itself or turn the line around. */
const UNSAFE = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu

const printable = (text) =>
  text.replace(UNSAFE, (sign) => {
    const code = sign.codePointAt(0)
    return code < 256 ? `\\x${code.toString(16).padStart(2, '0')}` : `\\u{${code.toString(16)}}`
  })

/** JSON whose strings are as harmless, and read as the same. */
const printableJson = (value, indent) =>
  JSON.stringify(value, undefined, indent).replace(/[\p{Cf}\u007f-\u009f\u2028\u2029]/gu, (sign) =>
    [...Array(sign.length).keys()].map((at) => `\\u${sign.charCodeAt(at).toString(16).padStart(4, '0')}`).join(''),
  )

const STYLE = /\x1b\[[\d;]*m/g // eslint-disable-line no-control-regex
const WIDE =
  /[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6\u{20000}-\u{3fffd}]|\p{Emoji_Presentation}/u

/** Columns that one sign takes. */
const signWidth = (sign) => (/\p{M}/u.test(sign) ? 0 : WIDE.test(sign) ? 2 : 1)

/** Columns that a text takes; styles take none. */
function width(text) {
  let columns = 0
  for (const sign of text.replace(STYLE, '')) columns += signWidth(sign)
  return columns
}

/** Cuts a text without styles to so many columns, with a sign that it was cut. */
function cut(text, columns) {
  if (width(text) <= columns) return text
  let kept = ''
  let used = 0
  for (const sign of text) {
    used += signWidth(sign)
    if (used > columns - 1) break
    kept += sign
  }
  return columns > 0 ? `${kept}…` : ''
}

/** Cuts a text with styles to so many columns; what comes after them must end the styles. */
function cutStyled(text, columns) {
  if (width(text) <= columns) return text
  let kept = ''
  let used = 0
  for (const part of text.split(/(\x1b\[[\d;]*m)/)) {
    const isStyle = part.startsWith('\x1b[')
    const fitting = isStyle ? part : cut(part, columns - used)
    used += isStyle ? 0 : width(fitting)
    kept += fitting
  }
  return kept
}

const pad = (text, columns) => text + ' '.repeat(Math.max(0, columns - width(text)))
const padStart = (text, columns) => ' '.repeat(Math.max(0, columns - width(text))) + text

/** A number with its thousands apart. */
const count = (number, digits = 0) =>
  number.toLocaleString('en-US', { minimumFractionDigits: digits, maximumFractionDigits: digits })

/** A number with its word. */
const counted = (number, word, words = `${word}s`) => `${count(number)} ${number === 1 ? word : words}`

/** A length of time by its two largest units. */
function time(ms) {
  if (ms < 1_000) return `${Math.ceil(ms)} ms`
  if (ms < 60_000) return `${(Math.ceil(ms / 100) / 10).toFixed(1)} s`
  const seconds = Math.ceil(ms / 1_000)
  const units = [
    ['d', 86_400],
    ['h', 3_600],
    ['min', 60],
    ['s', 1],
  ]
  const first = units.findIndex(([, length]) => seconds >= length)
  const [[large, length], [small, part]] = [units[first], units[first + 1]]
  const rest = Math.floor((seconds % length) / part)
  return `${Math.floor(seconds / length)} ${large}${rest > 0 ? ` ${rest} ${small}` : ''}`
}

/** Bytes in the unit that fits. */
function bytes(number) {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB']
  const power = Math.min(units.length - 1, Math.floor(Math.log2(Math.max(1, number)) / 10))
  const scaled = number / 1024 ** power
  return `${power === 0 || scaled >= 100 ? count(scaled) : scaled.toFixed(1)} ${units[power]}`
}

module.exports = { bytes, count, counted, cut, cutStyled, pad, padStart, printable, printableJson, time, width }
