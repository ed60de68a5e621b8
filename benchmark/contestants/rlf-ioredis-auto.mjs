/** rate-limiter-flexible through ioredis, which pipelines by itself. */

import { onIoredis } from './rlf.mjs'

export const open = (settings) => onIoredis(settings, { auto: true })
