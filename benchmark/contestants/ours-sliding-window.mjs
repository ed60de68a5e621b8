/** Ours with its default algorithm. */

import { openOurs } from './ours.mjs'

export const open = (settings) => openOurs('sliding-window', settings)
