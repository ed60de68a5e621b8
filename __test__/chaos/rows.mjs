/** The table of faults: every row is `{ name, says: { happens, callers, operator }, run(scene) }`, and what `run` measures. */

import { rows as application } from './application-faults.mjs'
import { rows as network } from './network-faults.mjs'
import { rows as process } from './process-faults.mjs'
import { rows as redis } from './redis-faults.mjs'

/** By kind, in the order in which an operator would look. A row that is not for every topology names those it is for: `only`. */
export const KINDS = [
  { title: 'The Redis process', rows: process },
  { title: 'The network', rows: network },
  { title: 'What Redis says', rows: redis },
  { title: 'The application', rows: application },
]
