/** `npm run docs`: the documentation as a site, in docs/.vitepress/dist. `-- dev` shows it while it is written, `-- preview` as it was built. */

import { ensureInstalled } from './install.mjs'
import { exitWith, isMain, runTool } from './run.mjs'

/** Runs a command of VitePress on docs/, `build`, `dev` or `preview`, with what is installed: a test must not change that. */
export async function docs(command, args = [], options) {
  await runTool('vitepress', 'vitepress', [command, 'docs', ...args], options)
}

if (isMain(import.meta.url)) {
  const [command = 'build', ...args] = process.argv.slice(2)
  await ensureInstalled()
    .then(() => docs(command, args))
    .catch(exitWith)
}
