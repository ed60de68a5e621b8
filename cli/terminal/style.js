// Colours, where they are wanted: on a terminal, not with NO_COLOR, and anywhere with FORCE_COLOR.
'use strict'

const CODES = { bold: [1, 22], dim: [2, 22], red: [31, 39], green: [32, 39], yellow: [33, 39], cyan: [36, 39] }

/** Whether colours are wanted on a stream. An empty variable says nothing, and FORCE_COLOR=0 that they are not. */
function wantsColour(stream, env = process.env) {
  if (env.FORCE_COLOR) return !['0', 'false'].includes(env.FORCE_COLOR)
  if (env.NO_COLOR) return false
  return Boolean(stream.isTTY) && env.TERM !== 'dumb'
}

/** A function for each style, which leaves its text alone where no colours are wanted. */
function styles(hasColour) {
  const style = ([on, off]) => (hasColour ? (text) => `\x1b[${on}m${text}\x1b[${off}m` : (text) => `${text}`)
  return Object.fromEntries(Object.entries(CODES).map(([name, codes]) => [name, style(codes)]))
}

module.exports = { styles, wantsColour }
