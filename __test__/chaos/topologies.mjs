/** The ways in which a Redis can be set up, on each of which every row is played. */

import { cluster } from './cluster.mjs'
import { sentinel } from './sentinel.mjs'
import { standalone } from './standalone.mjs'

export const TOPOLOGIES = [standalone, sentinel, cluster]
