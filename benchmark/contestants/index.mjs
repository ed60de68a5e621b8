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

/** Who is `special` meets the others only where a scenario says so. */
export const CONTESTANTS = [
  { id: 'ours-sliding-window', label: 'ours, sliding-window', ours: true, stores: ['memory', 'redis'] },
  { id: 'ours-token-bucket', label: 'ours, token-bucket', ours: true, stores: ['memory', 'redis'] },
  { id: 'rlf-memory', label: 'rate-limiter-flexible', ours: false, stores: ['memory'] },
  { id: 'rlf-ioredis', label: 'rate-limiter-flexible + ioredis', ours: false, stores: ['redis'] },
  {
    id: 'rlf-ioredis-block',
    label: 'rate-limiter-flexible + ioredis, inMemoryBlockOnConsumed',
    ours: false,
    stores: ['redis'],
    special: true,
  },
  {
    id: 'rlf-union',
    label: 'rate-limiter-flexible + ioredis, a union',
    ours: false,
    stores: ['redis'],
    special: true,
  },
  { id: 'rlf-node-redis', label: 'rate-limiter-flexible + node-redis', ours: false, stores: ['redis'] },
  { id: 'rate-limit-redis', label: 'rate-limit-redis + ioredis', ours: false, stores: ['redis'] },
]

/** Only the child that measures a contestant loads its libraries. */
export async function openContestant(id, settings) {
  const { open } = await import(`./${id}.mjs`)
  return open(settings)
}
