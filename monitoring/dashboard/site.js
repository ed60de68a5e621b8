// What is served, to whom, and with which headers; it knows nothing of frameworks.
'use strict'

const { readFileSync, readdirSync } = require('node:fs')
const { extname, join } = require('node:path')
const { Refusal, assertSameOrigin, readBody } = require('./body.js')
const { Feed } = require('./feed.js')
const { changes, isVerb, perform } = require('./verbs.js')

const TYPES = {
  '.html': 'text/html; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.mjs': 'text/javascript; charset=utf-8',
  '.svg': 'image/svg+xml',
}

/** The page's own files, and nothing else from anywhere; it is in no frame, and no form of it leaves. */
const POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; " +
  "form-action 'none'; frame-ancestors 'none'"

const HEADERS = {
  'Cache-Control': 'no-store',
  'Content-Security-Policy': POLICY,
  'Cross-Origin-Resource-Policy': 'same-origin',
  'Referrer-Policy': 'no-referrer',
  'X-Content-Type-Options': 'nosniff',
  'X-Frame-Options': 'DENY',
}

const folder = join(__dirname, 'page')
const files = new Map(
  readdirSync(folder).map((name) => [
    name === 'index.html' ? '' : name,
    { type: TYPES[extname(name)], body: readFileSync(join(folder, name)) },
  ]),
)

class Site {
  #limiters
  #options
  #feed

  constructor(limiters, options) {
    this.#limiters = limiters
    this.#options = options
    const { admin, title } = options
    this.#feed = new Feed(limiters, { admin, title, pid: process.pid })
  }

  has(place) {
    return files.has(place) || place === 'events' || isVerb(place)
  }

  /** Whether the app lets this request in. Only `true` does: a forgotten `return`, or an object, is no word from the app. */
  async authorizes(request) {
    const { authorize } = this.#options
    return authorize === undefined || (await authorize(request)) === true
  }

  /** Answers a request that is authorised. `slash` is where the page is, where it was named without its slash. */
  async serve(place, req, res, slash) {
    const method = isVerb(place) ? 'POST' : 'GET'
    if (req.method !== method && !(req.method === 'HEAD' && method === 'GET')) {
      const allow = method === 'GET' ? 'GET, HEAD' : method
      return send(res, 405, { error: `This is asked by ${allow}.` }, { Allow: allow })
    }
    if (isVerb(place)) return this.#act(place, req, res)
    if (place === 'events') return this.#stream(req, res)
    if (place === '' && slash !== undefined) return send(res, 302, undefined, { Location: slash })
    const { type, body } = files.get(place)
    return send(res, 200, body, { 'Content-Type': type })
  }

  /** What somebody gets whom the app does not let in: no data, and where a challenge was given, a way to say who they are. */
  refuse(res) {
    const { challenge } = this.#options
    if (challenge === undefined) return send(res, 403, { error: 'This is not for you to see.' })
    return send(res, 401, { error: 'Say who you are.' }, { 'WWW-Authenticate': challenge })
  }

  notFound(res) {
    send(res, 404, { error: 'There is nothing here.' })
  }

  /** What went wrong is the application's to know, and not to be told to whoever asked. */
  fail(res) {
    if (res.headersSent) res.destroy()
    else send(res, 500, { error: 'This went wrong on the server.' })
  }

  close() {
    this.#feed.close()
  }

  #stream(req, res) {
    if (this.#feed.isClosed) return send(res, 503, { error: 'The limiter is closed.' })
    if (this.#feed.isFull) return send(res, 503, { error: 'Too many are looking.' })
    res.writeHead(200, {
      ...HEADERS,
      'Content-Type': 'text/event-stream; charset=utf-8',
      // Neither compressed nor gathered on the way, or a second would arrive when the next hundred are there.
      'Cache-Control': 'no-store, no-transform',
      'X-Accel-Buffering': 'no',
    })
    if (req.method === 'HEAD') res.end()
    else this.#feed.add(res)
  }

  async #act(verb, req, res) {
    try {
      if (changes(verb) && !this.#options.admin)
        throw new Refusal(403, 'This dashboard only shows; it changes nothing.')
      assertSameOrigin(req)
      return send(res, 200, await perform(verb, await readBody(req), this.#limiters))
    } catch (error) {
      if (!(error instanceof Refusal)) throw error
      return send(res, error.status, { error: error.message })
    }
  }
}

/** Answers in one piece: bytes as they are, anything else as JSON. */
function send(res, status, what, headers = {}) {
  const body = what === undefined || Buffer.isBuffer(what) ? what : Buffer.from(JSON.stringify(what))
  const type = body === what ? {} : { 'Content-Type': 'application/json; charset=utf-8' }
  res.writeHead(status, { ...HEADERS, ...type, 'Content-Length': body?.length ?? 0, ...headers })
  res.end(body)
}

module.exports = { Site }
