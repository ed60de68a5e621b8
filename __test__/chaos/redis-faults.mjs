/** What Redis itself says instead of an answer: it lets nobody in, takes no writes, has no memory, runs somebody's script. */

import assert from 'node:assert/strict'

import { RIGHTS } from '../support/acl.mjs'
import { sleep, until } from '../support/wait.mjs'
import { LIMIT } from './model.mjs'
import { ordeal, refused, watched } from './ordeal.mjs'
import { FALLBACK } from './words.mjs'

/** A user, who is to have the rights that the documentation asks for and no others. */
const setUser = (stage, ...rules) =>
  stage.each((node) => node.command('ACL', 'SETUSER', 'limiter', ...rules, ...stage.rights))
const kickAll = (stage) =>
  stage.each((node) => node.command('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes').catch(() => {}))

export const rows = [
  {
    name: 'The password is wrong',
    says: {
      happens: 'Redis is not used. It is tried again up to twice a second, so a password that is made right is found.',
      callers: `${FALLBACK}; its error says \`authentication failed\` and never the password`,
      operator: 'Correct `redisUrl`, or the user in Redis.',
    },
    async run(scene) {
      const stage = await scene.start()
      await setUser(stage, 'on', '>right-one', ...RIGHTS)
      const wrong = stage.as('limiter', 'secret-and-wrong')
      const found = await ordeal(scene, wrong, {
        before: 'fallback',
        says: /authentication failed/,
        mend: () => setUser(stage, '>secret-and-wrong'),
      })
      const told = JSON.stringify([found.seen.told, found.seen.events.map(({ error }) => `${error?.stack}`)])
      assert.ok(!told.includes('secret-and-wrong'), 'no password is told')
      return found
    },
  },
  {
    name: 'The password is changed under load',
    says: {
      happens:
        'A connection that has logged in goes on. The next one is refused, until the password is the old one again.',
      callers: `Nothing until the connection ends; then ${FALLBACK}`,
      operator:
        'Let both passwords be valid (`ACL SETUSER … >new`) until every application has been given the new one, then remove the old (`<old`).',
    },
    async run(scene) {
      const stage = await scene.start()
      await setUser(stage, 'on', '>old', ...RIGHTS)
      return ordeal(scene, stage.as('limiter', 'old'), {
        async fault() {
          await setUser(stage, '>new', '<old')
          await kickAll(stage)
        },
        async mend() {
          await refused(scene, stage.as('limiter', 'old'), /authentication failed/)
          await setUser(stage, '>old')
        },
      })
    },
  },
  {
    name: 'The password of all is changed under load (`CONFIG SET requirepass`)',
    says: {
      happens: 'As above: who has logged in stays, and whoever comes after must know it.',
      callers: `Nothing until the connection ends; then ${FALLBACK}`,
      operator: 'Change it while applications are restarted with the new one; or use ACL users, who may have two.',
    },
    async run(scene) {
      const stage = await scene.start()
      return ordeal(scene, stage, {
        async fault() {
          await stage.each((node) => node.command('CONFIG', 'SET', 'requirepass', 'new'))
          await stage.each(({ proxy }) => proxy.reset())
        },
        async mend() {
          await refused(scene, stage, /NOAUTH|authentication/i)
          await stage.each((node) => node.together(['AUTH', 'new'], ['CONFIG', 'SET', 'requirepass', '']))
        },
      })
    },
  },
  {
    name: 'The user loses the right to run scripts (ACL without `EVALSHA`)',
    says: {
      happens: 'Nothing is decided and nothing is counted. Redis is tried again up to twice a second.',
      callers: `${FALLBACK}; its error names the command`,
      operator: `Give the user its rights: \`ACL SETUSER limiter on >password ${RIGHTS.join(' ')}\`.`,
    },
    async run(scene) {
      const stage = await scene.start()
      await setUser(stage, 'on', '>password', ...RIGHTS)
      return ordeal(scene, stage.as('limiter', 'password'), {
        says: /no permissions to run the 'evalsha' command/,
        fault: () => setUser(stage, '-evalsha', '-fcall'),
        mend: () => setUser(stage, '+evalsha', '+fcall'),
      })
    },
  },
  {
    name: 'The script is forgotten (`SCRIPT FLUSH`)',
    says: {
      happens:
        'Its text is sent along with the next call, which Redis has then not executed: nothing is counted twice.',
      callers: 'Redis decides.',
      operator: 'Nothing.',
    },
    async run(scene) {
      const stage = await scene.start()
      return ordeal(scene, stage, {
        during: 'redis',
        // Long enough that a moment of a busy machine is no failure of Redis.
        options: { timeout: '5s' },
        lasts: 0,
        async fault() {
          for (let flushes = 0; flushes < (scene.long ? 100 : 20); flushes += 1) {
            await stage.each((node) => node.command('SCRIPT', 'FLUSH'))
            await sleep(20)
          }
        },
      })
    },
  },
  {
    name: 'The data is deleted (`FLUSHALL`)',
    says: {
      happens: 'Counts are gone.',
      callers:
        'Redis decides; each key has its limit once more, one that is known to be refused at the latest after `denyCache`.',
      operator: 'Do not.',
    },
    async run(scene) {
      const stage = await scene.start()
      return ordeal(scene, stage, {
        during: 'redis',
        options: { timeout: '5s' },
        forgets: true,
        fault: () => stage.each((node) => node.command('FLUSHALL')),
      })
    },
  },
  {
    name: 'Redis becomes a replica (`READONLY` after `REPLICAOF`) and a master again',
    only: ['standalone'],
    says: {
      happens: 'It refuses to write. It is tried again up to twice a second, and used once it writes.',
      callers: `${FALLBACK}; its error says \`READONLY\``,
      operator: 'Point `redisUrl` to the master: an address that follows it needs no restart.',
    },
    async run(scene) {
      const stage = await scene.start()
      const { port } = stage.servers[0]
      return ordeal(scene, stage, {
        says: /READONLY|read only replica|MASTERDOWN|Link with MASTER/i,
        // A master that is never reached, so the data stays what it was.
        fault: () => stage.each((node) => node.command('REPLICAOF', '127.0.0.1', port === 1 ? 2 : 1)),
        mend: () => stage.each((node) => node.command('REPLICAOF', 'NO', 'ONE')),
      })
    },
  },
  {
    name: "Somebody's script does not end (`BUSY`)",
    says: {
      happens: 'Redis is silent, then says `BUSY` to everybody until the script is killed.',
      callers: `Those under way wait for \`timeout\`; then ${FALLBACK}; its error says \`BUSY\` where that is what is heard`,
      operator: '`SCRIPT KILL`, or `SHUTDOWN NOSAVE` where it has written.',
    },
    async run(scene) {
      const stage = await scene.start({ args: ['--busy-reply-threshold', '50'] })
      let looping
      return ordeal(scene, stage, {
        fault: () => {
          looping = stage.each((node) => node.command('EVAL', 'while true do end', 0).catch(({ message }) => message))
        },
        async mend() {
          await refused(scene, stage, /busy running a script/i)
          await stage.each((node) => node.command('SCRIPT', 'KILL'))
          for (const message of await looping) assert.match(message, /killed/i)
        },
      })
    },
  },
  {
    name: 'Redis is full and evicts nothing (`OOM`, `noeviction`)',
    says: {
      happens: 'It refuses every script that may write. Nothing that it has counted is lost.',
      callers: `${FALLBACK}; its error says \`OOM\``,
      operator: 'Give it more memory, or find what fills it: `INFO memory`, `redis-cli --bigkeys`.',
    },
    async run(scene) {
      const stage = await scene.start({ args: ['--maxmemory', '100mb', '--maxmemory-policy', 'noeviction'] })
      return ordeal(scene, stage, {
        says: /OOM/,
        fault: () => stage.each((node) => node.command('CONFIG', 'SET', 'maxmemory', '1mb')),
        mend: () => stage.each((node) => node.command('CONFIG', 'SET', 'maxmemory', '100mb')),
      })
    },
  },
  {
    name: 'Redis is full and evicts keys (`allkeys-lru`)',
    says: {
      happens: 'A key that is evicted starts anew. Those that are used longest ago go first.',
      callers:
        'Redis decides. **An evicted key has its limit once more.** The event `storeEvicts` has warned of the policy when the connection was made.',
      operator: 'Watch `evicted_keys` in `INFO stats`. Give the limiter a Redis that does not evict.',
    },
    run: evicted,
  },
  {
    name: "Something else lies under a limiter's keys (`WRONGTYPE`, garbage)",
    only: ['standalone', 'Sentinel'],
    says: {
      happens: 'It is left as it is. Other keys do not notice, whether they travel together or not.',
      callers:
        'For that key alone: `onStoreError` decides, `ERR_RATE_LIMIT_STATE` under `throw`. No `storeDown`, and the circuit stays closed.',
      operator: 'A `prefix` of its own for each program; `await limiter.reset(key)` deletes the value.',
    },
    run: garbage,
  },
]

/** Fills a small Redis with keys of others until some of the limiter's are gone: whoever was refused is admitted anew, and nobody fails. */
async function evicted(scene) {
  const stage = await scene.start({ args: ['--maxmemory', '3mb', '--maxmemory-policy', 'allkeys-lru'] })
  const asking = { timeout: '10s', onStoreError: 'throw', denyCache: false }
  const { limiter, seen } = watched(scene, { ...stage.options, ...asking })
  const keys = Array.from({ length: 50 }, (_, index) => `key-${index}`)
  const refusedNow = async () => {
    const decisions = await Promise.all(keys.map((key) => limiter.check(key)))
    assert.ok(decisions.every(({ source }) => source === 'redis'))
    return decisions.filter(({ allowed }) => !allowed).length
  }
  await Promise.all(keys.map((key) => limiter.check(key, { cost: LIMIT })))
  assert.equal(await refusedNow(), keys.length, 'all of them are exhausted')
  await until(() => seen.evictions.length > 0, 'it was warned')
  assert.deepEqual(seen.evictions, ['allkeys-lru'])
  assert.ok(seen.told.length === 1 && /allkeys-lru.*noeviction/.test(seen.told[0]), `the logger was told: ${seen.told}`)

  const from = performance.now()
  let calls = 0
  const latencies = []
  const evictions = async () => {
    const infos = await stage.each((node) => node.command('INFO', 'stats'))
    return infos.reduce((sum, info) => sum + Number(/evicted_keys:(\d+)/.exec(info)[1]), 0)
  }
  // Newcomers, until the oldest keys have had to go.
  await until(
    async () => {
      await Promise.all(
        Array.from({ length: 500 }, async () => {
          calls += 1
          const made = performance.now()
          await limiter.check(`newcomer-${calls}`)
          latencies.push(performance.now() - made)
        }),
      )
      return (await evictions()) > calls / 4 && performance.now() - from > scene.lasts
    },
    'Redis evicted keys',
    60_000,
  )

  const stillRefused = await refusedNow()
  assert.ok(stillRefused < keys.length, 'an evicted key starts anew')
  assert.deepEqual(seen.names, ['storeUp'], 'it is no failure')
  assert.equal(limiter.stats().storeErrors, 0)
  latencies.sort((a, b) => a - b)
  const note = `${keys.length - stillRefused} of ${keys.length} exhausted keys started anew`
  return {
    unsettled: limiter.stats().pending,
    over: 0,
    p99Ms: latencies[Math.floor(latencies.length * 0.99)],
    returnMs: 0,
    note,
  }
}

/** Values that no limiter wrote, of every kind, called together with good keys. */
async function garbage(scene) {
  const stage = await scene.start()
  const [node] = stage.servers
  const { limiter, seen } = watched(scene, { ...stage.options, timeout: '10s', onStoreError: 'throw' })
  const rounds = scene.long ? LIMIT : 5
  // What one key of this limiter is called in Redis, found by looking.
  await limiter.check('probe')
  const [nameOfProbe] = await node.command('KEYS', '*probe*')
  const nameOf = (key) => nameOfProbe.replace('probe', key)
  const bad = {
    list: ['RPUSH', 'a', 'b'],
    hash: ['HSET', 'a', 'b'],
    set: ['SADD', 'a'],
    zset: ['ZADD', 1, 'a'],
    stream: ['XADD', '*', 'a', 'b'],
    text: ['SET', 'not a state'],
    empty: ['SET', ''],
    number: ['SET', '42'],
    version: ['SET', Buffer.from([9, 0, 0, 0])],
    short: ['SET', Buffer.from([1])],
    long: ['SET', Buffer.alloc(100_000, 1)],
  }
  for (const [key, [command, ...args]] of Object.entries(bad)) {
    await node.command('DEL', nameOf(key))
    await node.command(command, nameOf(key), ...args)
  }
  const good = new Map()
  for (let round = 0; round < rounds; round += 1) {
    const calls = [...Object.keys(bad), 'good-1', 'good-2', `new-${round}`].map(async (key) => {
      const answer = await limiter.check(key).catch((error) => error)
      if (key in bad) assert.equal(answer.code, 'ERR_RATE_LIMIT_STATE', `${key}: ${answer}`)
      else {
        assert.equal(answer.source, 'redis', `${key}: ${answer}`)
        good.set(key, (good.get(key) ?? 0) + 1)
        assert.equal(answer.remaining, LIMIT - good.get(key), key)
      }
    })
    await Promise.all(calls)
  }
  assert.deepEqual(seen.names, ['storeUp'], 'it is no failure of Redis')
  assert.equal(limiter.stats().circuitOpened, 0)

  // The same key, where nobody wants errors: the fallback decides, and a reset lets Redis decide again.
  const { limiter: mild } = watched(scene, { ...stage.options, timeout: '10s' })
  const mended = performance.now()
  for (const key of Object.keys(bad)) {
    assert.equal((await mild.check(key)).source, 'fallback', key)
    await mild.reset(key)
    assert.equal((await mild.check(key)).source, 'redis', key)
  }
  return {
    unsettled: limiter.stats().pending,
    over: 0,
    p99Ms: 0,
    returnMs: (performance.now() - mended) / Object.keys(bad).length,
  }
}
