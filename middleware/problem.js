// What a refusal says: problem details (RFC 9457), a text where that is what the client would rather read, or the application's own.
'use strict'

const PROBLEM_TYPE = 'https://iana.org/assignments/http-problem-types#quota-exceeded'
const REDUCED_TYPE = 'https://iana.org/assignments/http-problem-types#temporary-reduced-capacity'
const TITLE = 'Too many requests'
const REDUCED_TITLE = 'Temporarily reduced capacity'

/** `{ type, content }`: the media type, and a text or an object that is written as JSON. */
function problemOf({ status, retryAfter, violated, reason, accept }) {
  const [kind, title] = reason === 'adaptive' ? [REDUCED_TYPE, REDUCED_TITLE] : [PROBLEM_TYPE, TITLE]
  const detail = `Try again in ${retryAfter} s.`
  if (prefersText(accept)) return { type: 'text/plain; charset=utf-8', content: `${title}. ${detail}\n` }
  const problem = { type: kind, title, status, detail, 'violated-policies': violated }
  return { type: 'application/problem+json', content: problem }
}

/** The application's own message: a string as text, anything else as JSON; an object with the `type` of a problem as one. */
function messageOf(message) {
  if (typeof message === 'string') return { type: 'text/plain; charset=utf-8', content: message }
  const isProblem = typeof message?.type === 'string' && typeof message.title === 'string'
  const type = isProblem ? 'application/problem+json' : 'application/json; charset=utf-8'
  return { type, content: message }
}

/** The body of a response. */
function bodyOf(content) {
  return typeof content === 'string' ? content : (JSON.stringify(content) ?? '')
}

/** Whether `Accept` puts text above JSON, as browsers do. Without a preference it is JSON: most callers are programs. */
function prefersText(accept) {
  if (accept === undefined || accept === '*/*') return false
  let text = 0
  let json = 0
  for (const range of String(accept).split(',', 32)) {
    const [, type, rest] = /^\s*([\w!#$&^.+*-]+\/[\w!#$&^.+*-]+)\s*(.*)$/.exec(range) ?? []
    if (type === undefined) continue
    const [, q = '1'] = /;\s*q\s*=\s*([01](?:\.\d{0,3})?)/i.exec(rest) ?? []
    const quality = Number(q)
    const name = type.toLowerCase()
    if (name === 'text/plain' || name === 'text/html' || name === 'text/*') text = Math.max(text, quality)
    else if (name.endsWith('/json') || name.endsWith('+json') || name === 'application/*' || name === '*/*') {
      json = Math.max(json, quality)
    }
  }
  return text > json
}

module.exports = { bodyOf, messageOf, problemOf }
