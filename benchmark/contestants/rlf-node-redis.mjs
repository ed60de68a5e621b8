/** rate-limiter-flexible through node-redis, which always pipelines. */

export { onNodeRedis as open } from './rlf.mjs'
