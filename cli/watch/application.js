// What there is to be seen of a running application: the feed of its dashboard, server-sent events over http.
'use strict'

const { StoreError, UsageError } = require('../failure.js')
const { applicationFrame, applicationLine } = require('./application-view.js')

const AGAIN_MS = 1_000
const KEPT = 60
/** What is kept of an event that has not ended: a page's worth of keys is far less. */
const LONGEST = 4 * 1024 * 1024

class Application {
  #url
  #shown
  #headers
  #ended = new AbortController()
  #title
  #states
  #policies = new Map()
  #history = new Map()
  #trouble
  #first

  /** `url` is where the dashboard is; a user and a password in it, and lines of `headers`, go with the request. */
  constructor(url, headers = []) {
    let parsed
    try {
      parsed = new URL(url)
    } catch {
      throw new UsageError('--url must be where the dashboard is, such as http://localhost:3000/limits')
    }
    if (!['http:', 'https:'].includes(parsed.protocol))
      throw new UsageError('--url must begin with http:// or https://')
    const { username, password } = parsed
    this.#headers = headersOf(headers)
    if (username !== '') {
      const login = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`
      this.#headers.set('authorization', `Basic ${Buffer.from(login).toString('base64')}`)
    }
    parsed.username = parsed.password = ''
    this.#shown = `${parsed.origin}${parsed.pathname}`
    parsed.pathname = `${parsed.pathname.replace(/\/$/, '')}/events`
    this.#url = parsed
  }

  /** Resolves with the first that it tells, and goes on to listen. */
  async begin() {
    const told = new Promise((resolve) => (this.#first = resolve))
    const response = await this.#ask()
    this.#listen(response)
    await Promise.race([told, new Promise((resolve) => this.#ended.signal.addEventListener('abort', resolve))])
    if (this.#states === undefined) throw new StoreError(`${this.#shown} is no dashboard of a limiter`)
  }

  /** It tells by itself what is new. */
  async read() {}

  frame(size) {
    return applicationFrame(this.#known, size)
  }

  line() {
    return applicationLine(this.#known)
  }

  json() {
    return { at: Date.now(), url: this.#shown, trouble: this.#trouble, limiters: this.#states }
  }

  async close() {
    this.#ended.abort()
  }

  get #known() {
    const limiters = Object.entries(this.#states).map(([name, state]) => ({
      ...{ name, state },
      policies: this.#policies.get(name) ?? [],
      history: this.#history.get(name) ?? [],
    }))
    const clock = new Date().toTimeString().slice(0, 8)
    return { at: this.#shown, title: this.#title, limiters, trouble: this.#trouble, clock }
  }

  async #ask() {
    let response
    try {
      const { signal } = this.#ended
      response = await fetch(this.#url, { headers: this.#headers, signal, redirect: 'error' })
    } catch (error) {
      const { cause = error } = error
      throw new StoreError(`${this.#shown} cannot be reached: ${cause.message || cause.code}`, { isAway: true, cause })
    }
    const { status } = response
    if (status === 401 || status === 403) {
      throw new StoreError(
        `${this.#shown} does not let anybody look (${status}): put a user and a password into the URL, or give --header`,
      )
    }
    const type = response.headers.get('content-type') ?? ''
    if (status !== 200 || !type.startsWith('text/event-stream')) {
      throw new StoreError(`${this.#shown} is no dashboard of a limiter (${status}): is its path right?`)
    }
    return response
  }

  /** Takes what comes; whenever the stream ends it asks again, until nobody watches. */
  async #listen(response) {
    while (!this.#ended.signal.aborted) {
      try {
        response ??= await this.#ask()
        this.#trouble = undefined
        await this.#follow(response)
        if (this.#states === undefined) return this.#ended.abort()
        this.#trouble = 'the application has ended the stream: trying again'
      } catch (error) {
        if (this.#ended.signal.aborted) return
        const said = error instanceof StoreError ? error.message : `the connection to ${this.#shown} is lost`
        this.#trouble = `${said}: trying again`
        if (this.#states === undefined) return this.#ended.abort()
      }
      response = undefined
      await new Promise((resolve) => setTimeout(resolve, AGAIN_MS).unref())
    }
  }

  async #follow({ body }) {
    let text = ''
    for await (const piece of body.pipeThrough(new TextDecoderStream())) {
      text += piece
      if (text.length > LONGEST) throw new StoreError(`${this.#shown} sends more than a dashboard does`)
      const events = text.split('\n\n')
      text = events.pop()
      for (const event of events) this.#take(event)
    }
  }

  #take(event) {
    const [, name] = /^event: (\w+)$/m.exec(event) ?? []
    const [, data] = /^data: (.*)$/m.exec(event) ?? []
    if (name === 'hello') {
      const { title, limiters } = JSON.parse(data)
      this.#title = title
      for (const { name: limiter, policies, points } of limiters) {
        this.#policies.set(limiter, policies)
        this.#history.set(limiter, points.slice(-KEPT))
      }
    } else if (name === 'state') {
      this.#states = JSON.parse(data).limiters
      for (const [limiter, { point }] of Object.entries(this.#states)) {
        const history = this.#history.get(limiter)
        if (point) history?.push(point)
        if (history?.length > KEPT) history.shift()
      }
      this.#first()
    }
  }
}

function headersOf(lines) {
  const headers = new Headers({ accept: 'text/event-stream' })
  for (const line of lines) {
    const [, name, value] = /^([^:]+):\s*(.*)$/.exec(line) ?? []
    // Which may be a secret, so it is not quoted.
    if (name === undefined) throw new UsageError("--header must be a name and a value, such as 'Cookie: session=…'")
    try {
      headers.append(name, value)
    } catch {
      throw new UsageError('--header is none that can be sent: its name or its value has a sign that may not be in it')
    }
  }
  return headers
}

module.exports = { Application }
