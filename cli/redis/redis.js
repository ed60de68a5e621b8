// A Redis, or all masters of a cluster: which of them a command is for, and where a slot has moved.
'use strict'

const { StoreError } = require('../failure.js')
const { elsewhere, parseAddress, shownAddress } = require('./address.js')
const { Connection } = require('./connection.js')
const { ReplyError } = require('./reply.js')
const { slotOf } = require('./slot.js')

/** Redirections that are followed for one command: a slot that has moved, and is moving on. */
const MOST_REDIRECTIONS = 5

class Redis {
  /** How it is shown. */
  at
  /** Whether it is a cluster. */
  isCluster
  #address
  #options
  /** Connections by `host:port`, each a promise. */
  #nodes = new Map()
  /** Who has which slots: `{ from, to, node }`. */
  #slots = []

  constructor(address, options) {
    this.#address = address
    this.#options = options
    this.at = shownAddress(address)
  }

  /**
   * Connects to the first of `urls` that answers. Whether it is a cluster is asked, where `cluster` does not say so.
   * `timeout` is how long an answer may take, in milliseconds; `tls` are certificates.
   */
  static async open(urls, { cluster, ...options }) {
    let failure
    for (const address of urls.map(parseAddress)) {
      const redis = new Redis(address, options)
      try {
        await redis.#begin(cluster)
        return redis
      } catch (error) {
        redis.close()
        failure ??= error
      }
    }
    throw failure
  }

  async #begin(cluster) {
    await this.#node(this.#address)
    this.isCluster = cluster ?? (await this.#isPartOfCluster())
    if (this.isCluster) await this.#learn()
  }

  /** By how much its clock is ahead of this process's, in milliseconds. */
  async ahead() {
    const [seconds, micros] = await this.call('TIME')
    return Number(seconds) * 1e3 + Number(micros) / 1e3 - Date.now()
  }

  /** A command that any server can answer. */
  async call(...args) {
    return (await this.#any()).call(...args)
  }

  /** A command on one key, its name as a Buffer. */
  async callOn(name, ...args) {
    if (!this.isCluster) return this.call(...args)
    const slot = slotOf(name)
    let node = await this.#nodeOf(slot)
    for (let isAsked = false, redirections = 0; ; redirections += 1) {
      try {
        // Both in one go: nobody else's command may come between them.
        if (isAsked) node.call('ASKING').catch(() => {})
        return await node.call(...args)
      } catch (error) {
        const [kind, , place] = error instanceof ReplyError ? error.message.split(' ') : []
        if (!['MOVED', 'ASK'].includes(kind) || redirections === MOST_REDIRECTIONS) throw error
        isAsked = kind === 'ASK'
        if (!isAsked) await this.#learn()
        node = await this.#node(this.#at(place))
      }
    }
  }

  /** The servers that hold keys: itself, or each master of the cluster. */
  async masters() {
    if (!this.isCluster) return [await this.#any()]
    const nodes = new Map(this.#slots.map(({ node }) => [keyOf(node), node]))
    return Promise.all([...nodes.values()].map((node) => this.#node(node)))
  }

  close() {
    for (const node of this.#nodes.values()) node.then((connection) => connection.close()).catch(() => {})
    this.#nodes.clear()
  }

  async #isPartOfCluster() {
    try {
      return /^cluster_enabled:1/m.test(String(await this.call('INFO', 'cluster')))
    } catch (error) {
      if (error.kind === 'NOPERM') return false
      throw error
    }
  }

  async #learn() {
    let slots
    try {
      slots = await this.call('CLUSTER', 'SLOTS')
    } catch (error) {
      if (!(error instanceof ReplyError) || !/cluster support disabled/.test(error.message)) throw error
      throw new StoreError(`${this.at} is no cluster: leave --cluster out`)
    }
    this.#slots = slots.map(([from, to, [host, port]]) => ({
      from,
      to,
      node: elsewhere(this.#address, String(host ?? ''), port),
    }))
    if (this.#slots.length === 0) throw new StoreError(`the cluster of ${this.at} serves no slots yet`)
  }

  async #nodeOf(slot) {
    const owner = this.#slots.find(({ from, to }) => slot >= from && slot <= to)
    return owner ? this.#node(owner.node) : this.#any()
  }

  /** Where a redirection leads: `host:port`, the host perhaps an IPv6 address, or left out for the same. */
  #at(place) {
    const colon = place.lastIndexOf(':')
    return elsewhere(this.#address, place.slice(0, colon), Number(place.slice(colon + 1)))
  }

  async #any() {
    for (const node of this.#nodes.values()) {
      const connection = await node.catch(() => undefined)
      if (connection?.isOpen) return connection
    }
    return this.#node(this.#address)
  }

  async #node(address) {
    const key = keyOf(address)
    const known = await this.#nodes.get(key)?.catch(() => undefined)
    if (known?.isOpen) return known
    const opening = Connection.open(address, this.#options)
    opening.catch(() => {})
    this.#nodes.set(key, opening)
    return opening
  }
}

const keyOf = ({ path, host, port }) => path ?? `${host}:${port}`

module.exports = { Redis }
