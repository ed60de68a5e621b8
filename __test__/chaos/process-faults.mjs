/** The Redis process itself: absent, killed, halted, busy with something else, or not yet done with loading. */

import assert from 'node:assert/strict'

import { until } from '../support/wait.mjs'
import { clockFault } from './clock-fault.mjs'
import { ordeal, refused } from './ordeal.mjs'
import { reconnecting } from './reconnecting.mjs'
import { FALLBACK } from './words.mjs'

const CLOCK = {
  name: "The clock of Redis' host is set an hour forward, and back",
  says: {
    happens:
      'Time is that of Redis. Forward, windows shorter than the jump are over at once. Back, what was counted in the meantime counts as of now.',
    callers:
      'Redis decides. Of longer windows nobody is admitted more; of shorter ones up to one limit more for each jump.',
    operator: "Let the clock be slewed (chrony, ntpd). The application's own clock has no effect.",
  },
  run: clockFault,
}

/** A master that does not come back, where somebody stands by. */
function replacement(lost, happens, lose) {
  return {
    name: `The master is ${lost} and another takes its place`,
    only: ['Sentinel', 'cluster'],
    says: {
      happens: `${happens} What the old master had not yet passed on is forgotten.`,
      callers: `Those under way wait for \`timeout\`; then ${FALLBACK}. Of a cluster, that is so for the keys of the lost master alone, without \`storeDown\`.`,
      operator: 'Nothing. A key may have as many units once more as its last writes counted.',
    },
    async run(scene) {
      const stage = await scene.start({ spare: true })
      return ordeal(scene, stage, {
        during: 'either',
        forgets: true,
        lasts: 0,
        async fault() {
          await lose(stage.servers[0])
          await stage.replaced()
        },
      })
    },
  }
}

export const rows = [
  {
    name: 'Redis is down when the application starts',
    says: {
      happens: 'The constructor does not fail. Nothing is awaited but `ready()`, for whoever calls it.',
      callers: `${FALLBACK}. Calls that are made before the first refusal is known wait for it, at most \`timeout\`.`,
      operator: 'Start Redis. It is used as soon as it answers.',
    },
    async run(scene) {
      const stage = await scene.start()
      await stage.each(({ proxy }) => proxy.refuse())
      const found = await ordeal(scene, stage, {
        before: 'fallback',
        says: /refused/,
        mend: () => stage.each(({ proxy }) => proxy.accept()),
      })
      assert.equal(found.phases.before.sources.redis, 0, 'there was no Redis')
      // A cluster may come up by parts, and be told of more than once.
      assert.equal(found.seen.names[0], 'storeDown')
      return found
    },
  },
  {
    name: 'Redis is killed (`kill -9`) and comes back empty',
    says: {
      happens: 'What was under way is answered by the fallback and never sent again. Counts are gone with the process.',
      callers: `${FALLBACK}. After its return each key may have its limit once more.`,
      operator: 'Restart Redis; keep an append-only file where the counts must survive that.',
    },
    async run(scene) {
      const stage = await scene.start()
      return ordeal(scene, stage, {
        forgets: true,
        fault: () => stage.each(({ server }) => server.kill()),
        mend: () => stage.restart(),
      })
    },
  },
  {
    name: 'Redis is shut down in order and comes back empty, without the script (`NOSCRIPT`)',
    says: {
      happens: 'As above. The new server does not know the script; its text is sent along with the first call.',
      callers: FALLBACK,
      operator: 'Nothing: the script is never loaded by hand.',
    },
    async run(scene) {
      const stage = await scene.start()
      return ordeal(scene, stage, {
        forgets: true,
        fault: () =>
          stage.each(async (node) => {
            // It says goodbye instead of answering this command.
            await node.command('SHUTDOWN', 'NOSAVE').catch(() => {})
            await node.server.kill()
          }),
        mend: () => stage.restart(),
      })
    },
  },
  {
    name: 'Redis is halted (`SIGSTOP`, a frozen machine)',
    says: {
      happens:
        'Two batches run into `timeout`, then Redis is left alone but for a probe. What it had received it executes when it goes on, once.',
      callers: `Those under way wait for \`timeout\`; then ${FALLBACK}`,
      operator: 'Look at the machine. `stats().circuitOpened` counts such outages.',
    },
    async run(scene) {
      const stage = await scene.start()
      const found = await ordeal(scene, stage, {
        lasts: scene.long ? 5_000 : undefined,
        says: /did not answer|does not answer|too slowly/,
        fault: () => stage.each((node) => node.halt()),
        mend: () => stage.each((node) => node.goOn()),
      })
      assert.ok(found.stats.circuitOpened >= 1, 'the circuit opened')
      return found
    },
  },
  replacement('killed (`kill -9`)', 'The other addresses are asked at once and then twice a second.', (node) =>
    node.server.kill(),
  ),
  replacement(
    'halted (`SIGSTOP`)',
    'Its connection is left as soon as another is named, whether it has ended or not.',
    (node) => node.halt(),
  ),
  {
    name: 'Redis is busy with one command (`DEBUG SLEEP`, a slow `KEYS *`)',
    says: {
      happens: 'The same as a halted one, until the command is done.',
      callers: `Those under way wait for \`timeout\`; then ${FALLBACK}`,
      operator: 'Find the command: `SLOWLOG GET`.',
    },
    async run(scene) {
      const stage = await scene.start()
      let asleep
      return ordeal(scene, stage, {
        lasts: 0,
        fault: () => {
          asleep = stage.each((node) => node.command('DEBUG', 'SLEEP', scene.lasts / 1_000))
        },
        mend: () => asleep,
      })
    },
  },
  {
    name: 'Redis makes its clients wait (`CLIENT PAUSE`, a failover under way)',
    says: {
      happens: 'The same as a halted one, until the pause ends.',
      callers: `Those under way wait for \`timeout\`; then ${FALLBACK}`,
      operator: 'Wait: a pause has its end, and `CLIENT UNPAUSE` waits like all others.',
    },
    async run(scene) {
      const stage = await scene.start()
      return ordeal(scene, stage, {
        lasts: 0,
        fault: () => stage.each((node) => node.command('CLIENT', 'PAUSE', scene.lasts, 'ALL')),
        // In a pause of all, the command that ends it waits as well.
        mend: () => stage.each((node) => node.command('PING')),
      })
    },
  },
  {
    name: 'Redis comes back and is still loading its data (`LOADING`)',
    says: {
      happens: 'It answers every probe with `LOADING`, and is probed up to twice a second until it is done.',
      callers: `${FALLBACK}, whose error says \`loading the dataset\` where that is the first that is heard of it`,
      operator: 'Wait, or see why it takes so long: `INFO persistence`.',
    },
    async run(scene) {
      // Slow on purpose: half a millisecond a key, and it looks at its clients as often as it can.
      const slow = ['--key-load-delay', '500', '--loading-process-events-interval-bytes', '1024']
      const stage = await scene.start({ args: slow })
      const keys = scene.long ? 6_000 : 2_000
      await stage.each((node) => node.command('DEBUG', 'POPULATE', keys, 'other'))
      let wasLoading = 0
      const found = await ordeal(scene, stage, {
        // What is loaded is what it knew when it saved.
        forgets: true,
        lasts: 0,
        fault: () =>
          stage.each(async (node) => {
            await node.command('SAVE')
            await node.server.kill()
          }),
        mend: async () => {
          await stage.each(({ server }) => server.restart())
          await refused(scene, stage, /loading the dataset/)
          await stage.each((node) =>
            until(
              async () => {
                const isLoading = (await node.command('INFO', 'persistence')).includes('\r\nloading:1')
                wasLoading += isLoading
                return !isLoading
              },
              'the data is loaded',
              60_000,
            ),
          )
          await stage.serve()
        },
      })
      assert.ok(wasLoading > 1, 'it was seen loading')
      return found
    },
  },
  {
    name: 'Many processes find the same Redis again at once',
    says: {
      happens: 'Each waits for a time of its own before it tries, from half to the whole of its backoff.',
      callers: FALLBACK,
      operator:
        'Nothing. Connections come one a limiter, and one more for its known refusals, however many calls there are.',
    },
    async run(scene) {
      return reconnecting(scene, scene.long ? 50 : 8)
    },
  },
  ...(process.platform === 'linux' ? [CLOCK] : []),
]
