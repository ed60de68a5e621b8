/** The same, which also refuses by itself whoever it knows to have passed the limit. */

import { onIoredis } from './rlf.mjs'

export const open = (settings) => onIoredis(settings, { auto: true, block: true })
