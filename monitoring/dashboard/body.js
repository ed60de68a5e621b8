// What a page posts: from the dashboard's own origin alone, as JSON, and never more than a key can need.
'use strict'

/** A key of several fields, each as long as keys may be stored, in the longest escapes of JSON. */
const MAX_BYTES = 65_536

/** An answer that says why a request is refused. */
class Refusal extends Error {
  constructor(status, message) {
    super(message)
    this.status = status
  }
}

/**
 * Refuses what another site's page could have sent. A browser says where a request comes from: in `Sec-Fetch-Site`, or over plain HTTP,
 * where it sends none, in `Origin`. JSON alone would do against forms, and this does against everything else.
 */
function assertSameOrigin({ headers }) {
  if (!/^application\/json\s*(;|$)/i.test(headers['content-type'] ?? '')) {
    throw new Refusal(415, 'The content type must be application/json.')
  }
  const site = headers['sec-fetch-site']
  if (site === undefined ? hostOf(headers.origin) !== headers.host?.toLowerCase() : site !== 'same-origin') {
    throw new Refusal(403, "Only the dashboard's own page may send this.")
  }
}

/** The host of an origin, `null` where there is none: undefined would equal a missing `Host`. */
function hostOf(origin) {
  try {
    return new URL(origin).host
  } catch {
    return null
  }
}

/** The object that was sent: read here, or by a parser of the application that came before us. */
async function readBody(req) {
  const body = parsed(req.readableEnded && req.body !== undefined ? req.body : await text(req))
  if (typeof body !== 'object' || body === null || Array.isArray(body)) {
    throw new Refusal(400, 'The body must be a JSON object.')
  }
  return { __proto__: null, ...body }
}

function parsed(body) {
  if (typeof body !== 'string' && !Buffer.isBuffer(body)) return body
  try {
    return JSON.parse(body)
  } catch {
    throw new Refusal(400, 'The body must be JSON.')
  }
}

async function text(req) {
  const chunks = []
  let length = 0
  for await (const chunk of req) {
    length += chunk.length
    if (length > MAX_BYTES) throw new Refusal(413, 'The body is too long.')
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}

module.exports = { Refusal, assertSameOrigin, readBody }
