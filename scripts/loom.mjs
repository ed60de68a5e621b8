/** `npm run loom`: tries the orders in which callers and the worker of a dispatcher can meet; see loom/src/main.rs. */

import { join } from 'node:path'
import { runCargo } from './build.mjs'
import { exitWith } from './run.mjs'

await runCargo(['run', '--release', '--locked', '--manifest-path', join('loom', 'Cargo.toml')]).catch(exitWith)
