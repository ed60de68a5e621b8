/** The same with a token bucket. */

import { LEASE, openOurs } from './ours.mjs'

export const open = (settings) => openOurs('token-bucket', { ...settings, lease: LEASE })
