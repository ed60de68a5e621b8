/** Ours, where a process takes units of a hot key ahead and decides by itself until they are used or their time is over. */

import { LEASE, openOurs } from './ours.mjs'

export const open = (settings) => openOurs('sliding-window', { ...settings, lease: LEASE })
