/** What lies between: late, silent, broken, in pieces. Redis itself is well. */

import assert from 'node:assert/strict'

import { sleep, until } from '../support/wait.mjs'
import { blackHole } from './black-hole.mjs'
import { manyCalls } from './many-calls.mjs'
import { ordeal, watched } from './ordeal.mjs'
import { FALLBACK } from './words.mjs'

/** The timeout where it is the question whether Redis still decides, and a busy machine must not be the answer: a server of a cluster has two thirds of it. */
const AMPLE_MS = 3_000

const behave = (stage, manners) => stage.each(async ({ proxy }) => proxy.behave(manners))

export const rows = [
  {
    name: 'The network is slow: a round trip takes half of `timeout`',
    says: {
      happens: 'Batches grow, and every call is answered in time.',
      callers: 'Redis decides, later than usual.',
      operator: 'Nothing. Let `timeout` be at least two round trips.',
    },
    async run(scene) {
      const stage = await scene.start()
      return ordeal(scene, stage, {
        during: 'redis',
        options: { timeout: AMPLE_MS },
        fault: () => behave(stage, { delayAskedMs: AMPLE_MS / 4, delayAnsweredMs: AMPLE_MS / 4 }),
        lasts: 2 * AMPLE_MS,
        mend: () => behave(stage),
      })
    },
  },
  {
    name: 'The network is too slow: a round trip takes twice `timeout`',
    says: {
      happens: 'Each reply is too late. The circuit opens and stays open: a probe has to be in time as well.',
      callers: `Those under way wait for \`timeout\`; then ${FALLBACK}. Redis has counted what was sent.`,
      operator: 'Raise `timeout`, or put Redis nearer.',
    },
    async run(scene) {
      const stage = await scene.start()
      return ordeal(scene, stage, {
        says: /did not answer|too slowly/,
        fault: () => behave(stage, { delayAskedMs: 100, delayAnsweredMs: 100 }),
        mend: () => behave(stage),
      })
    },
  },
  {
    name: 'Connections are refused',
    says: {
      happens:
        'What was under way is answered by the fallback; a new connection is tried after 10 to 20 ms, then ever more seldom, up to twice a second.',
      callers: FALLBACK,
      operator: 'Look at the network, the firewall, the limit on clients.',
    },
    async run(scene) {
      const stage = await scene.start()
      return ordeal(scene, stage, {
        fault: () => stage.each(({ proxy }) => proxy.refuse()),
        mend: () => stage.each(({ proxy }) => proxy.accept()),
      })
    },
  },
  {
    name: 'Connections are reset in the midst of a reply',
    says: {
      happens: 'What was under way is answered by the fallback and never sent again, since Redis may have counted it.',
      callers: `${FALLBACK}; Redis again after 10 to 20 ms`,
      operator: 'Nothing, unless it happens often.',
    },
    async run(scene) {
      const stage = await scene.start()
      const cuts = () => stage.servers.reduce((sum, { proxy }) => sum + proxy.cut, 0)
      const found = await ordeal(scene, stage, {
        during: 'either',
        lasts: 0,
        async fault() {
          // After so many bytes of a reply: within its length, within its answers.
          for (const bytes of scene.long ? [0, 1, 3, 10, 50, 0, 1, 3, 10, 50] : [1, 10, 50]) {
            const before = cuts()
            // Late as well, so that many calls are under way.
            await behave(stage, { delayAnsweredMs: 20, cutAfter: bytes })
            await until(() => cuts() > before, 'a reply was cut')
            await behave(stage)
            await sleep(200)
          }
        },
      })
      // Of a cluster the other servers go on, and `storeDown` is not told.
      assert.ok(found.phases.during.sources.fallback > 0, 'what was under way is decided by the fallback')
      return found
    },
  },
  {
    name: 'Replies are lost after Redis has executed the calls',
    only: ['standalone'],
    says: {
      happens: 'Each such call has cost its units in Redis, once: it is never sent again.',
      callers: 'They wait for `timeout`, and the fallback decides. A key may have up to one call less per lost reply.',
      operator: 'Nothing.',
    },
    async run(scene) {
      const stage = await scene.start()
      const found = await ordeal(scene, stage, {
        fault: () => behave(stage, { dropReplies: true }),
        // What would follow on these connections are replies to other calls: no network passes those on.
        mend: async () => {
          await stage.each(async ({ proxy }) => proxy.reset())
          await behave(stage)
        },
      })
      await chargedOnce(scene, stage)
      return found
    },
  },
  {
    name: 'Bytes come one by one',
    says: {
      happens: 'Replies are put together from their pieces.',
      callers: 'Redis decides.',
      operator: 'Nothing.',
    },
    async run(scene) {
      const stage = await scene.start()
      return ordeal(scene, stage, {
        during: 'redis',
        // A reply of some kilobytes is as many packets.
        options: { timeout: 5 * AMPLE_MS },
        async fault({ limiter }) {
          for (const sliceBytes of [1, 2, 7, 64]) {
            await behave(stage, { sliceBytes })
            const before = limiter.stats().sources.redis
            await sleep(scene.lasts / 2)
            await until(
              () => limiter.stats().sources.redis > before + 100,
              `replies in pieces of ${sliceBytes} were read`,
            )
          }
        },
        lasts: 0,
        mend: () => behave(stage),
      })
    },
  },
  {
    name: 'A black hole: bytes are taken and nothing comes back, under 50,000 calls a second',
    says: {
      happens: 'At most `maxPending` calls wait, at most for `timeout`. Memory is bounded.',
      callers: `Those under way wait for \`timeout\`; then ${FALLBACK}`,
      operator: 'Look at the network.',
    },
    run: blackHole,
  },
  {
    name: 'One fault after another, under 50,000 calls a second',
    only: ['standalone'],
    says: {
      happens: 'Every call is answered once, by Redis or by the fallback.',
      callers: 'What each of the faults says.',
      operator: 'Look at the network.',
    },
    run: manyCalls,
  },
]

/**
 * One call at a time, so that each lost reply is one call's: Redis has counted what was admitted and what was lost, exactly. Nobody
 * else admits anything, so there is nothing of which Redis would be told.
 */
async function chargedOnce(scene, stage) {
  const calls = scene.long ? 200 : 30
  const limit = 10 * calls
  const { limiter } = watched(scene, { ...stage.options, limit, timeout: 40, onStoreError: 'deny' })
  const { limiter: honest } = watched(scene, { ...stage.direct, limit, timeout: '30s', onStoreError: 'throw' })
  const counted = async () => limit - (await honest.peek('charged once')).remaining
  let known = 0
  let [decided, lost] = [0, 0]
  await limiter.ready({ timeout: '20s' })
  for (let call = 0; call < calls; call += 1) {
    await behave(stage, { dropReplies: call % 3 === 0 })
    const { source } = await limiter.check('charged once')
    if (call % 3 === 0) await stage.each(async ({ proxy }) => proxy.reset())
    await behave(stage)
    await until(() => limiter.stats().store === 'up', 'the connection is there again')
    await limiter.ready({ timeout: '20s' })
    const units = await counted()
    assert.ok(units - known <= 1, `one call cost ${units - known} units`)
    if (source === 'redis') {
      decided += 1
      assert.equal(units - known, 1, 'what Redis admitted it has counted')
    } else {
      lost += units - known
    }
    known = units
  }
  assert.ok(decided > 0 && lost > 0, `${decided} were decided by Redis, ${lost} were lost: both must be`)
  assert.equal(known, decided + lost)
}
