/** Who is compared. Each has a module beside this one whose `open` gives the limiter in a common shape. */

/**
 * An opened contestant.
 *
 * @typedef {object} Contestant
 * @property {(key: string) => Promise<boolean>} isAllowed One call. Rejects when the store did not decide it.
 * @property {(keys: string[]) => Promise<number>} [countAllowed] Memory only: a plain loop that awaits each call,
 *   written the way a user of this library writes it, so that no wrapper of ours is part of what is measured.
 * @property {() => Promise<void>} close
 */

/** `role` is 'ours', 'peer', or 'context': what is no limiter, and stands beside them so that figures have a scale. */
export const CONTESTANTS = [
  { id: 'ours-sliding-window', label: 'ours, sliding-window', role: 'ours' },
  { id: 'ours-token-bucket', label: 'ours, token-bucket', role: 'ours' },
  { id: 'ours-thread', label: "ours, sliding-window, driver: 'thread'", role: 'ours' },
  { id: 'ours-lease-sliding-window', label: 'ours, sliding-window, leases', role: 'ours' },
  { id: 'ours-lease-token-bucket', label: 'ours, token-bucket, leases', role: 'ours' },
  { id: 'rlf-memory', label: 'rate-limiter-flexible', role: 'peer' },
  { id: 'rlf-ioredis', label: 'rate-limiter-flexible + ioredis', role: 'peer' },
  { id: 'rlf-ioredis-auto', label: 'rate-limiter-flexible + ioredis, autopipelining', role: 'peer' },
  {
    id: 'rlf-ioredis-block',
    label: 'rate-limiter-flexible + ioredis, autopipelining, in-memory block',
    role: 'peer',
  },
  { id: 'rlf-node-redis', label: 'rate-limiter-flexible + node-redis', role: 'peer' },
  { id: 'rlf-glide', label: 'rate-limiter-flexible + valkey-glide', role: 'peer' },
  { id: 'rate-limit-redis', label: 'rate-limit-redis + ioredis', role: 'peer' },
  { id: 'rate-limit-redis-auto', label: 'rate-limit-redis + ioredis, autopipelining', role: 'peer' },
  { id: 'raw-sliding-window', label: 'redis-benchmark, script of sliding-window', role: 'context' },
  { id: 'raw-token-bucket', label: 'redis-benchmark, script of token-bucket', role: 'context' },
  { id: 'sorted-set-log', label: 'a log in a sorted set', role: 'context' },
  { id: 'none', label: 'no limiter', role: 'context' },
  { id: 'express-none', label: 'Express, no limiter', role: 'context' },
  { id: 'express-ours', label: 'Express + ours', role: 'ours' },
  { id: 'express-rate-limit', label: 'Express + express-rate-limit + rate-limit-redis', role: 'peer' },
  { id: 'fastify-none', label: 'Fastify, no limiter', role: 'context' },
  { id: 'fastify-ours', label: 'Fastify + ours', role: 'ours' },
  { id: 'fastify-rate-limit', label: 'Fastify + @fastify/rate-limit', role: 'peer' },
]

export function findContestant(id) {
  return CONTESTANTS.find((contestant) => contestant.id === id)
}

/** Only the child that measures a contestant loads its libraries. */
export async function openContestant(id, settings) {
  const { open } = await import(`./${id}.mjs`)
  return open(settings)
}
