/** The command line as a process of its own, its output in pipes or on a terminal. */

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'

import { RateLimiter } from 'distributed-rate-limiter'

import { run, start } from './child.mjs'
import { Terminal } from './terminal.mjs'
import { until } from './wait.mjs'

export const CLI = fileURLToPath(new URL('../../cli/index.js', import.meta.url))
const WITHIN_MS = 30_000

/** What decides about colours and stores, and must not come from whoever runs the tests. */
const CLEAN = { REDIS_URL: undefined, NO_COLOR: undefined, FORCE_COLOR: undefined, TERM: 'xterm-256color' }

const { main } = createRequire(import.meta.url)('../../cli/program.js')

/** What somebody writes to. */
function paper() {
  const written = { text: '', write: (text) => void (written.text += text) }
  return written
}

/** Does the same in this process, which is sooner there: `{ code, stdout, stderr }`. */
export async function told(args, { env = {} } = {}) {
  const [stdout, stderr] = [paper(), paper()]
  const before = { ...process.env }
  for (const [name, value] of Object.entries({ ...CLEAN, ...env })) {
    if (value === undefined) delete process.env[name]
    else process.env[name] = value
  }
  try {
    const code = await main(args.map(String), { stdout, stderr })
    return { code, stdout: stdout.text, stderr: stderr.text }
  } finally {
    process.env = before
  }
}

/** The same, and reads what it prints as JSON. */
export async function toldJson(args, options) {
  const { code, stdout, stderr } = await told([...args, '--json'], options)
  if (code !== 0) throw new Error(`${args.join(' ')} ended with ${code}: ${stderr}`)
  return JSON.parse(stdout)
}

/** Runs it as a process to its end: `{ code, signal, stdout, stderr }`. */
export const cli = (args, { env = {}, ...options } = {}) =>
  run(CLI, { args, within: WITHIN_MS, env: { ...CLEAN, ...env }, ...options })

/** Runs it as a process, and reads what it prints as JSON. */
export async function cliJson(args, options) {
  const end = await cli([...args, '--json'], options)
  if (end.code !== 0) throw new Error(`${args.join(' ')} ended with ${end.code}: ${end.stderr}`)
  return JSON.parse(end.stdout)
}

/** Starts it; see `start` in child.mjs. */
export const startCli = (args, { env = {}, ...options } = {}) =>
  start(CLI, { args, within: WITHIN_MS, env: { ...CLEAN, ...env }, ...options })

/** Makes limiters on a server whose calls Redis decides, each closed with its test. */
export const limitersOn = (redisOf) => (t, options) => {
  const limiter = new RateLimiter({ redisUrl: redisOf().url, timeout: '10s', onStoreError: 'throw', ...options })
  t.after(() => limiter.close())
  return limiter
}

const children = new Set()
process.once('exit', () => children.forEach((child) => child.kill('SIGKILL')))

const quoted = (word) => `'${String(word).replaceAll("'", `'\\''`)}'`

/**
 * Starts it on a terminal of its own, of so many rows and columns: `script` of util-linux makes one. `terminal` is what stands on it,
 * `type(keys)` what somebody types, `resize(rows, columns)` what a window's frame does, `signal(name)` reaches the program itself,
 * `ended` how it ended, `all` every byte that came. `stderr` may be `'terminal'` (the default) or a file's path. `underShell`: a shell has
 * it go on when it stands still.
 */
export async function onTerminal(
  args,
  { rows = 30, columns = 100, env = {}, nodeArgs = [], stderr = 'terminal', underShell = false } = {},
) {
  const words = [process.execPath, ...nodeArgs, CLI, ...args].map(quoted).join(' ')
  const elsewhere = stderr === 'terminal' ? '' : ` 2>${quoted(stderr)}`
  // The shell says which terminal it is and its own number, which is the program's after `exec`.
  // The shell writes which job stands still, as it was typed: by a short name, since the path of a checkout can be wider than a terminal.
  const run = underShell
    ? `run=(${words}); set -m; "\${run[@]}"; echo it stands still; fg`
    : `exec ${words}${elsewhere}`
  const line = `stty rows ${rows} cols ${columns}; echo "<$(tty) $$>"; ${run}`
  const child = spawn('script', ['-qfec', line, '/dev/null'], {
    env: { ...process.env, NODE_TEST_CONTEXT: undefined, SHELL: '/bin/bash', ...CLEAN, ...env },
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  children.add(child)
  const terminal = new Terminal(rows, columns)
  const running = { all: '', terminal }
  let head = ''
  let device
  let pid
  child.stdout.setEncoding('utf8').on('data', (text) => {
    if (device === undefined) {
      head += text
      const found = /<(\S+) (\d+)>\r\n/.exec(head)
      if (!found) return
      ;[, device, pid] = found
      text = head.slice(found.index + found[0].length)
    }
    running.all += text
    terminal.write(text)
  })
  const guard = setTimeout(() => child.kill('SIGKILL'), WITHIN_MS)
  const ended = once(child, 'close').then(([code, signal]) => {
    clearTimeout(guard)
    children.delete(child)
    return { code, signal, all: running.all }
  })
  await until(() => device !== undefined || child.exitCode !== null, 'the terminal was there')
  return Object.assign(running, {
    ended,
    pid: Number(pid),
    type: (keys) => child.stdin.write(keys),
    signal: (name) => process.kill(Number(pid), name),
    kill: () => child.kill('SIGKILL'),
    resize: async (toRows, toColumns) => {
      terminal.resize(toRows, toColumns)
      const stty = spawn('stty', ['-F', device, 'rows', toRows, 'cols', toColumns], { stdio: 'ignore' })
      await once(stty, 'close')
    },
    /** Waits until a text stands on it. */
    shows: (text, within = 20_000) =>
      until(
        () => (text instanceof RegExp ? text.test(terminal.text) : terminal.text.includes(text)),
        { toString: () => `the terminal showed ${text}, not\n${terminal.text}\n${running.all.slice(-2_000)}` },
        within,
      ),
  })
}
