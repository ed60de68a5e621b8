/** The package as it is published: packed by npm, and installed from that file into an empty folder. */

import { spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'

import { findOnPath, root } from '../../scripts/run.mjs'

/** A folder that goes when the process does. */
export function emptyFolder() {
  const folder = mkdtempSync(join(realpathSync(tmpdir()), 'rate-limiter-packed-'))
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }))
  return folder
}

/** Runs `npm pack`, with all that it does before; the path of the file that it made, in a folder of its own. */
export async function pack() {
  const folder = emptyFolder()
  const packed = await command(process.execPath, [npm(), 'pack', '--json', '--pack-destination', folder], { cwd: root })
  // What the scripts of npm have said stands before it.
  const [{ filename }] = Object.values(JSON.parse(packed.slice(packed.search(/^[[{]/m))))
  return join(folder, filename)
}

/** Runs a program to its end, without a word of the npm that may run us; what it said. */
export function command(file, args, { cwd, env, within = 120_000 } = {}) {
  const inherited = Object.entries(process.env).filter(([name]) => !/^npm_|^NODE_(TEST_CONTEXT|OPTIONS)$/.test(name))
  const child = spawn(file, args, {
    cwd,
    env: { ...Object.fromEntries(inherited), ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: within,
    killSignal: 'SIGKILL',
  })
  let [stdout, stderr] = ['', '']
  child.stdout.setEncoding('utf8').on('data', (text) => (stdout += text))
  child.stderr.setEncoding('utf8').on('data', (text) => (stderr += text))
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code, signal) => {
      if (code === 0) resolve(stdout)
      else reject(new Error(`${basename(file)} ${args.join(' ')} ended with ${signal ?? code}\n${stdout}\n${stderr}`))
    })
  })
}

/** npm's own file, which node can run where nothing else is on the PATH. */
export function npm() {
  return realpathSync(findOnPath('npm'))
}

/** A PATH with `node`, `npm` and a shell, and no compiler of any language. */
export function pathWithoutTools() {
  const folder = join(emptyFolder(), 'bin')
  mkdirSync(folder)
  for (const [name, file] of [
    ['node', process.execPath],
    ['npm', npm()],
    ['sh', findOnPath('sh')],
  ]) {
    symlinkSync(file, join(folder, name))
  }
  return folder
}
