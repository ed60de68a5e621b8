/** `npm start`: installs and builds what is missing, then runs the first example. */

import { spawn } from 'node:child_process'
import { constants } from 'node:os'
import { ensureBuilt } from './build.mjs'
import { ensureInstalled } from './install.mjs'
import { exitWith, root } from './run.mjs'

const parent = process.ppid

function runExample() {
  const child = spawn(process.execPath, ['examples/express.mjs'], { cwd: root, stdio: 'inherit' })
  // A terminal sends its signal to the child as well, others to us alone. The example takes the second one calmly.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal))
  if (process.env.npm_lifecycle_event === 'start') onOrphaned(() => child.kill('SIGTERM'))
  child.once('error', exitWith)
  child.once('exit', (code, signal) => {
    process.exitCode = code ?? 128 + constants.signals[signal]
  })
}

/** npm runs us inside a shell, and a signal to npm ends that shell without a word to us: we see that it is gone. */
function onOrphaned(callback) {
  setInterval(() => process.ppid !== parent && callback(), 250).unref()
}

try {
  await ensureInstalled()
  await ensureBuilt()
  runExample()
} catch (error) {
  exitWith(error)
}
