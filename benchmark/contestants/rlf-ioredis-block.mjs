/** The same, which refuses by itself whoever it knows to have passed the limit. */

import { open as openAsking } from './rlf-ioredis.mjs'

export const open = (settings) => openAsking(settings, { inMemoryBlockOnConsumed: settings.limit })
