/** `npm run bench`: installs the peers and builds the addon where they are missing, then compares them. */

import { spawn } from 'node:child_process'
import { constants } from 'node:os'
import { join } from 'node:path'
import { ensureBuilt } from './build.mjs'
import { ensurePeersInstalled } from './peers.mjs'
import { exitWith, root } from './run.mjs'

function runBenchmark(args) {
  const other = ['builds', 'memory', 'resolution', 'algorithms', 'flood', 'instructions', 'shared'].find((name) =>
    args.includes(`--${name}`),
  )
  const script = `${other ?? 'run'}.mjs`
  const options = args.filter((arg) => arg !== `--${other}`)
  const child = spawn(process.execPath, [join(root, 'benchmark', script), ...options], { stdio: 'inherit' })
  // A terminal sends its signal to the child as well, others to us alone. The benchmark takes the second one calmly.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal))
  child.once('error', exitWith)
  child.once('exit', (code, signal) => {
    process.exitCode = code ?? 128 + constants.signals[signal]
  })
}

try {
  await ensurePeersInstalled()
  await ensureBuilt()
  runBenchmark(process.argv.slice(2))
} catch (error) {
  exitWith(error)
}
