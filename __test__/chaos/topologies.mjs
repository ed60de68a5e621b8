/** The ways in which a Redis can be set up, on each of which every row is played. `standalone.mjs` says what one offers. */

import { cluster } from './cluster.mjs'
import { standalone } from './standalone.mjs'

export const TOPOLOGIES = [standalone, cluster]
