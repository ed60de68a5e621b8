/** Ours with a token bucket. */

import { openOurs } from './ours.mjs'

export const open = (settings) => openOurs('token-bucket', settings)
