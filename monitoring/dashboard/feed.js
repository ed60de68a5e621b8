// Server-sent events: one timer for all who look, which stops with the last of them.
'use strict'

const { Trace } = require('./trace.js')

const INTERVAL_MS = 1_000
/** A stream ends after so long and the page opens another, so that who may look is asked anew. */
const STREAM_MS = 300_000
/** Each viewer holds a connection, and what cannot be sent to it is kept for it. */
const VIEWERS = 64

const event = (name, data) => `event: ${name}\ndata: ${JSON.stringify(data)}\n\n`

class Feed {
  #limiters
  #about
  #traces = new Map()
  #viewers = new Map()
  #timer
  #now
  #closed = false

  /** `about` is what each viewer is told once; `now` a clock that is never set. */
  constructor(limiters, about, now = () => performance.now()) {
    this.#limiters = new Map(limiters)
    this.#about = about
    this.#now = now
    for (const [name, limiter] of limiters) {
      this.#traces.set(name, new Trace())
      limiter.once('close', () => this.#leave(name))
    }
  }

  get isClosed() {
    return this.#closed
  }

  get isFull() {
    return this.#viewers.size >= VIEWERS
  }

  get viewers() {
    return this.#viewers.size
  }

  /** Sends a viewer what is known, and then what is new each second, until either side ends it. */
  add(res) {
    // Gone while it was asked who they are: nothing would tell of their end any more.
    if (res.destroyed) return
    if (this.#timer === undefined) this.#start()
    this.#viewers.set(res, this.#now())
    res.once('close', () => this.#remove(res))
    const limiters = [...this.#limiters].map(([name, limiter]) => {
      return { name, policies: limiter.policies(), points: this.#traces.get(name).points }
    })
    res.write(`retry: 2000\n\n${event('hello', { ...this.#about, limiters })}${this.#state()}`)
  }

  /** Ends all streams, and takes no more. */
  close() {
    this.#closed = true
    for (const res of [...this.#viewers.keys()]) {
      res.end(event('end', {}))
      this.#remove(res)
    }
  }

  #start() {
    this.#read()
    this.#timer = setInterval(() => this.#tick(), INTERVAL_MS)
    this.#timer.unref()
  }

  #read() {
    const [now, at] = [this.#now(), Date.now()]
    for (const [name, limiter] of this.#limiters) this.#traces.get(name).read(limiter.stats(), now, at)
  }

  #tick() {
    this.#read()
    const text = this.#state(true)
    const now = this.#now()
    for (const [res, since] of this.#viewers) {
      if (now - since >= STREAM_MS) res.end()
      // Whoever is behind misses a second, and is sent the next: counters lose nothing by it.
      else if (!res.writableNeedDrain) res.write(text)
    }
  }

  /** The present as one text for all viewers, with the newest point of each chart where it is new. */
  #state(withPoint = false) {
    const states = [...this.#traces].map(([name, trace]) => [
      name,
      { ...trace.state, ...(withPoint && { point: trace.points.at(-1) ?? null }) },
    ])
    return event('state', { at: Date.now(), limiters: Object.fromEntries(states) })
  }

  #remove(res) {
    this.#viewers.delete(res)
    if (this.#viewers.size > 0) return
    clearInterval(this.#timer)
    this.#timer = undefined
  }

  /** A limiter was closed: nothing more is to be told of it, and with the last one of anything. */
  #leave(name) {
    this.#limiters.delete(name)
    this.#traces.delete(name)
    if (this.#limiters.size === 0) this.close()
  }
}

module.exports = { Feed }
