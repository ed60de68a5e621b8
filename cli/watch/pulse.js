// What Redis says of itself, and how fast it changes: script calls, memory, evictions, and how many limiters have announced themselves.
'use strict'

/** Commands by which a limiter runs its script. */
const SCRIPTED = ['evalsha', 'eval', 'fcall']
/** Parts of INFO by their names: `all` has those of commands. */
const SECTIONS = 'all'
const KEPT = 60

class Pulse {
  /** Script calls a second, one for each reading, newest last. */
  history = []
  #redis
  #prefix
  #last

  constructor(redis, prefix) {
    this.#redis = redis
    this.#prefix = prefix
  }

  /**
   * Reads it anew. `calls`, `evicted` and `micros` (each script call took) are of the time since `rest`, undefined before it; `instances`
   * is undefined where the user may not ask for it. Of a cluster everything is the sum.
   */
  async read() {
    const infos = await this.#infos()
    const sum = (name) => sumOf(infos, name)
    const now = counters(infos)
    const rates = this.#rates(now)
    if (rates.calls !== undefined) this.history.push(rates.calls)
    if (this.history.length > KEPT) this.history.shift()
    return {
      ...rates,
      version: infos[0].valkey_version ?? infos[0].redis_version,
      software: infos[0].valkey_version ? 'Valkey' : 'Redis',
      masters: infos.length,
      memory: sum('used_memory'),
      maxMemory: sum('maxmemory'),
      policy: infos[0].maxmemory_policy,
      clients: sum('connected_clients'),
      evictedEver: now.evicted,
      instances: await this.#instances(),
    }
  }

  /** From here on until it is read again nothing is asked of Redis on its account, so what is counted then is others'. */
  async rest() {
    this.#last = counters(await this.#infos())
  }

  async #infos() {
    const masters = await this.#redis.masters()
    return Promise.all(masters.map(async (master) => parseInfo(String(await master.call('INFO', SECTIONS)))))
  }

  /** What has changed since; nothing is known of a server that has begun anew and counts from 0. */
  #rates(now) {
    const before = this.#last
    if (before === undefined || now.calls < before.calls || now.commands < before.commands) return {}
    const seconds = (now.at - before.at) / 1e3
    const calls = now.calls - before.calls
    return {
      calls: calls / seconds,
      micros: calls > 0 ? (now.usec - before.usec) / calls : undefined,
      commands: (now.commands - before.commands) / seconds,
      evicted: (now.evicted - before.evicted) / seconds,
    }
  }

  /** Announcements that still hold; an instance that died is on the list for a little longer. */
  async #instances() {
    const list = Buffer.from(`${this.#prefix}:fleet`)
    try {
      const [seconds, micros] = await this.#redis.callOn(list, 'TIME')
      return await this.#redis.callOn(list, 'ZCOUNT', list, `(${Number(seconds) * 1e6 + Number(micros)}`, '+inf')
    } catch (error) {
      if (error.kind === 'NOPERM' || error.kind === 'WRONGTYPE') return undefined
      throw error
    }
  }
}

const sumOf = (infos, name) => infos.reduce((total, info) => total + Number(info[name] ?? 0), 0)

/** What only grows while a server runs. */
const counters = (infos) => ({
  at: performance.now(),
  ...scripts(infos),
  commands: sumOf(infos, 'total_commands_processed'),
  evicted: sumOf(infos, 'evicted_keys'),
})

function scripts(infos) {
  let [calls, usec] = [0, 0]
  for (const info of infos) {
    for (const command of SCRIPTED) {
      const [, count, spent] = /calls=(\d+),usec=(\d+)/.exec(info[`cmdstat_${command}`] ?? '') ?? []
      calls += Number(count ?? 0)
      usec += Number(spent ?? 0)
    }
  }
  return { calls, usec }
}

/** INFO as an object of its fields. */
function parseInfo(text) {
  const fields = { __proto__: null }
  for (const line of text.split('\r\n')) {
    const colon = line.indexOf(':')
    if (colon > 0 && line[0] !== '#') fields[line.slice(0, colon)] = line.slice(colon + 1)
  }
  return fields
}

module.exports = { parseInfo, Pulse }
