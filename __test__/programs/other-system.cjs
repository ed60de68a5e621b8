/** Required ahead of a program: Node's words for its system are those of `SIMULATED_SYSTEM`, `{ platform, arch }`. */
'use strict'

for (const [name, value] of Object.entries(JSON.parse(process.env.SIMULATED_SYSTEM))) {
  Object.defineProperty(process, name, { value })
}
