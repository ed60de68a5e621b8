/** Ours with its default algorithm, where a thread works beside the calls and not Node's own loop. */

import { openOurs } from './ours.mjs'

export const open = (settings) => openOurs('sliding-window', { ...settings, driver: 'thread' })
