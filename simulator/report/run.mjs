/** Runs the simulator, which is built first. */

import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'

import { runCargo } from '../../scripts/build.mjs'
import { root } from '../../scripts/run.mjs'
import { costs } from './costs.mjs'

const manifest = join('simulator', 'Cargo.toml')
const execute = promisify(execFile)

/** In the folder of the limiter's own tests, with which it shares what both depend on. Answers the file of a program of it. */
export async function build(name = 'distributed-rate-limiter-simulator') {
  await runCargo(['build', '--locked', '--manifest-path', manifest, '--target-dir', 'target'])
  const suffix = process.platform === 'win32' ? '.exe' : ''
  return join(root, 'target', 'debug', `${name}${suffix}`)
}

/** The report of one world, whose properties are the simulator's options. Those of Redis are the bench's figures. */
export async function simulate(file, world) {
  const { callNs, keyNs } = costs(world.algorithm ?? 'sliding-window')
  const options = Object.entries({ callNs, keyNs, ...world })
  const args = options.flatMap(([name, value]) => [
    `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`,
    String(value),
  ])
  const { stdout } = await execute(file, args)
  return JSON.parse(stdout)
}

/** All of them, `atOnce` at a time, each with its report. */
export async function simulateAll(file, worlds, atOnce, tell = () => {}) {
  const reports = []
  let next = 0
  const work = async () => {
    while (next < worlds.length) {
      const index = next++
      reports[index] = { world: worlds[index], report: await simulate(file, worlds[index]) }
      tell(reports[index], index)
    }
  }
  await Promise.all(Array.from({ length: atOnce }, work))
  return reports
}
