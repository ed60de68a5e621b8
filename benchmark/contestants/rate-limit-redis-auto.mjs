/** The same, with an ioredis that pipelines by itself. */

import { open as openPlain } from './rate-limit-redis.mjs'

export const open = (settings) => openPlain(settings, { auto: true })
