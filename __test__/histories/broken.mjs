/** Limiters that are broken on purpose: what they answer must be refused by the check of histories. */

import { Redis } from 'ioredis'

/** One take in so many is forgotten. */
const FORGETS = 6

/** How a limiter is told of the store at `redisUrl`: as it is, or by a client that breaks it in the way that `store` names. */
export function optionsOf(store, redisUrl) {
  if (store === undefined) return { redisUrl }
  const client = new Redis(redisUrl, { maxRetriesPerRequest: null, ...STORES[store].options })
  client.on('error', () => {})
  return { redisClient: STORES[store].through(client) }
}

const call = (client, ...args) => client.callBuffer(...args)

const STORES = {
  /** Not broken, so that it is not the client that is refused. */
  honest: {
    options: { autoResendUnfulfilledCommands: false, enableOfflineQueue: false, maxRetriesPerRequest: 0 },
    through: (client) => client,
  },

  /** As ioredis is by default: what a lost connection left without a reply it sends again, though it may have been counted. */
  'sends again': {
    options: { autoResendUnfulfilledCommands: true, retryStrategy: () => 10 },
    through: (client) => client,
  },

  /** The script decides as it should, and now and then does not write what it took. */
  forgets: {
    options: {},
    through(client) {
      const takes = 'takes, moment = policy.step, policy.numbers, cost > 0, now'
      const forgets = takes.replace('cost > 0', `cost > 0 and redis.call('INCR', 'takes') % ${FORGETS} > 0`)
      return {
        eval(text, keys, args) {
          if (text.split(takes).length !== 2)
            throw new Error('the script has no such line any more: look where it writes what is taken')
          return call(client, 'EVAL', text.replace(takes, forgets), keys.length, ...keys, ...args)
        },
        // So that the text is asked for.
        evalsha: () => Promise.reject(new Error('NOSCRIPT')),
      }
    },
  },

  /** It reads the states, decides on them, and writes them, in steps between which others do the same. */
  races: {
    options: {},
    through(client) {
      let copies = 0
      return {
        async eval(text, keys, args) {
          const own = keys.map((key) => `copy-${process.pid}-${(copies += 1)}-${key}`)
          const before = await Promise.all(keys.map((key) => call(client, 'GET', key)))
          // A key that is asked twice in a batch must be one copy, as it is one key.
          const copyOf = new Map(keys.map((key, index) => [String(key), own[index]]))
          await Promise.all(
            keys.map((key, index) => before[index] && call(client, 'SET', copyOf.get(String(key)), before[index])),
          )
          const reply = await call(
            client,
            'EVAL',
            text,
            keys.length,
            ...keys.map((key) => copyOf.get(String(key))),
            ...args,
          )
          await Promise.all(
            [...copyOf].map(async ([key, copy]) => {
              const after = await call(client, 'GET', copy)
              await (after ? call(client, 'SET', key, after) : call(client, 'DEL', key))
            }),
          )
          return reply
        },
        evalsha: () => Promise.reject(new Error('NOSCRIPT')),
      }
    },
  },
}
