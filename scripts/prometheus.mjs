/** A Prometheus of our own for tests: found or installed, on data of its own, and never left behind. */

import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, openSync, closeSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { freePort, installByApt } from './redis.mjs'
import { findOnPath, isExecutable } from './run.mjs'

const START_TIMEOUT_MS = 30_000
const TOOL_TIMEOUT_MS = 60_000

const HOW_TO_INSTALL = `prometheus and promtool were not found. Install them and run this again:
  Debian, Ubuntu   sudo apt-get install prometheus
  Alpine           sudo apk add prometheus
  macOS            brew install prometheus
  others           https://prometheus.io/download/
or name their files in the environment variables PROMETHEUS and PROMTOOL.`

/** The path of one of the programs: what its variable names, else the PATH's, else freshly installed where apt may do so unasked. */
function find(program) {
  const variable = program.toUpperCase()
  const named = process.env[variable]
  if (named) {
    if (isExecutable(named)) return named
    throw new Error(`${variable} names ${named}, which is not a file that can be executed`)
  }
  if (findOnPath(program) === undefined) installByApt('prometheus')
  const found = findOnPath(program)
  if (!found) throw new Error(HOW_TO_INSTALL)
  return found
}

/** Runs promtool; `{ ok, output }`. */
export function promtool(...args) {
  const { status, stdout, stderr } = spawnSync(find('promtool'), args, { encoding: 'utf8', timeout: TOOL_TIMEOUT_MS })
  return { ok: status === 0, output: `${stdout}${stderr}` }
}

/**
 * Starts one on 127.0.0.1 that scrapes `targets` (`host:port`) and evaluates the rules in the text `rules`, each `interval`; resolves
 * once it answers.
 */
export async function startPrometheus({ targets, rules, interval = '500ms' }) {
  const server = new Prometheus(await freePort(), { targets, rules, interval })
  try {
    await server.start()
  } catch (error) {
    await server.stop()
    throw error
  }
  return server
}

class Prometheus {
  #command = find('prometheus')
  #folder = mkdtempSync(join(tmpdir(), 'rate-limiter-prometheus-'))
  #log = join(this.#folder, 'prometheus.log')
  #process
  #reap = () => {
    this.#process?.kill('SIGKILL')
    rmSync(this.#folder, { recursive: true, force: true })
  }

  constructor(port, { targets, rules, interval }) {
    this.port = port
    this.url = `http://127.0.0.1:${port}`
    writeFileSync(join(this.#folder, 'rules.yml'), rules)
    const job = { job_name: 'app', static_configs: [{ targets }] }
    const times = { scrape_interval: interval, scrape_timeout: interval, evaluation_interval: interval }
    // JSON is YAML.
    writeFileSync(
      join(this.#folder, 'prometheus.yml'),
      JSON.stringify({ global: times, rule_files: ['rules.yml'], scrape_configs: [job] }),
    )
  }

  async start() {
    const log = openSync(this.#log, 'a')
    const args = [
      `--config.file=${join(this.#folder, 'prometheus.yml')}`,
      `--storage.tsdb.path=${join(this.#folder, 'data')}`,
      `--web.listen-address=127.0.0.1:${this.port}`,
    ]
    this.#process = spawn(this.#command, args, { stdio: ['ignore', log, log] })
    closeSync(log)
    process.once('exit', this.#reap)
    await once(this.#process, 'spawn')
    const deadline = Date.now() + START_TIMEOUT_MS
    while (!(await this.#isReady())) {
      if (this.#process.exitCode !== null)
        throw new Error(`prometheus ended at start:\n${readFileSync(this.#log, 'utf8')}`)
      if (Date.now() > deadline) throw new Error(`prometheus did not answer in ${START_TIMEOUT_MS} ms`)
      await sleep(50)
    }
  }

  /** Ends it and removes its data. Safe twice. */
  async stop() {
    process.off('exit', this.#reap)
    if (this.#process?.exitCode === null && this.#process.signalCode === null) {
      const exited = once(this.#process, 'exit')
      this.#process.kill('SIGKILL')
      await exited
    }
    this.#reap()
  }

  /** What its HTTP API has under this path, such as `alerts`; rejects with its own words where it refuses. */
  async api(path, parameters = {}) {
    const response = await fetch(`${this.url}/api/v1/${path}?${new URLSearchParams(parameters)}`)
    const { status, data, error } = await response.json()
    if (status !== 'success') throw new Error(`${path}: ${error}`)
    return data
  }

  /** The series that an expression gives now: `[{ metric, value }]`. */
  async query(expression) {
    const { result } = await this.api('query', { query: expression })
    return result.map(({ metric, value: [, value] }) => ({ metric, value: Number(value) }))
  }

  async #isReady() {
    try {
      return (await fetch(`${this.url}/-/ready`)).ok
    } catch {
      return false
    }
  }
}
