/** rate-limiter-flexible through ioredis, as the documentation of both begins. */

export { onIoredis as open } from './rlf.mjs'
