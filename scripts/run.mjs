/** Runs a program from the repository's root with the terminal handed through, bounded in time. */

import { spawn } from 'node:child_process'
import { accessSync, constants, readFileSync, realpathSync } from 'node:fs'
import { basename, delimiter, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** The repository's root. */
export const root = dirname(dirname(fileURLToPath(import.meta.url)))

/** The first file of this name on the PATH that may be executed, else `undefined`. */
export function findOnPath(name) {
  const file = process.platform === 'win32' ? `${name}.exe` : name
  const folders = (process.env.PATH ?? '').split(delimiter).filter(Boolean)
  return folders.map((folder) => join(folder, file)).find(isExecutable)
}

export function isExecutable(file) {
  try {
    accessSync(file, constants.X_OK)
    return true
  } catch {
    return false
  }
}

/** Resolves when `command` has ended with exit code 0; rejects with a sentence in every other case. */
export function run(command, args, { env, minutes = 30, shell = false } = {}) {
  return new Promise((resolve, reject) => {
    const line = [basename(command), ...args].join(' ')
    const child = spawn(command, args, { cwd: root, stdio: 'inherit', shell, env: { ...process.env, ...env } })
    let late = false
    // SIGTERM first, so that a test runner can take down what it started.
    const terminate = setTimeout(() => {
      late = true
      child.kill('SIGTERM')
    }, minutes * 60_000)
    const kill = setTimeout(() => child.kill('SIGKILL'), minutes * 60_000 + 5_000)
    const settle = (error) => {
      clearTimeout(terminate)
      clearTimeout(kill)
      if (error) reject(error)
      else resolve()
    }
    child.once('error', (error) => settle(new Error(`${line} could not be started: ${error.message}`)))
    child.once('exit', (code, signal) => {
      if (late) settle(new Error(`${line} was stopped after ${minutes} minutes`))
      else if (code === 0) settle()
      else settle(new Error(`${line} ended with ${signal ?? `exit code ${code}`}`))
    })
  })
}

/** Runs a command of an installed package by its own file, which needs neither npx nor a shell on any platform. */
export function runTool(packageName, tool, args, options) {
  const folder = join(root, 'node_modules', packageName)
  const { bin } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'))
  return run(process.execPath, [join(folder, typeof bin === 'string' ? bin : bin[tool]), ...args], options)
}

/** Runs npm: the one that runs us where there is one, else the one on the PATH (a `.cmd` on Windows, so through a shell). */
export function runNpm(args, options) {
  const { npm_execpath: npm } = process.env
  if (npm && basename(npm) === 'npm-cli.js') return run(process.execPath, [npm, ...args], options)
  return run('npm', args, { ...options, shell: process.platform === 'win32' })
}

/** Whether the module of this URL is the script that node was started with. */
export function isMain(url) {
  const [, script] = process.argv
  return script !== undefined && realpathSync(script) === fileURLToPath(url)
}

/** Ends a script that failed with its message alone: a stack says nothing more to whoever called it. */
export function exitWith(error) {
  console.error(`\n${error.message}`)
  process.exitCode = 1
}
