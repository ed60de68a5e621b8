/** What befalls the stores and the process while the load runs: `{ name, play }`, in turn. Each ends what it began. */

import { once } from 'node:events'
import { Worker } from 'node:worker_threads'

import { RateLimiter } from 'distributed-rate-limiter'

import { program } from '../support/child.mjs'
import { sleep } from '../support/wait.mjs'

const LIMITERS = 50
const WORKERS = 5

/** `lastsMs` is how long a fault lasts that lasts. */
export function faultsOf({ standalone, cluster, lastsMs }) {
  const [node] = standalone.servers
  const [master] = cluster.servers
  const behaving = async (stage, manners, ms = lastsMs) => {
    await stage.each(async ({ proxy }) => proxy.behave(manners))
    await sleep(ms)
    // What comes late on these connections would be replies to calls that nobody awaits any more.
    await stage.each(async ({ proxy }) => {
      proxy.reset()
      proxy.behave()
    })
  }
  const halting = async (server) => {
    server.halt()
    await sleep(lastsMs)
    await server.goOn()
  }
  return [
    {
      name: 'Redis is killed and comes back empty',
      async play() {
        await node.server.kill()
        await sleep(lastsMs)
        await node.server.restart()
      },
    },
    { name: 'Redis is halted (`SIGSTOP`)', play: () => halting(node) },
    {
      name: 'connections are reset in the midst of replies',
      async play() {
        for (const cutAfter of [0, 1, 10, 50]) await behaving(standalone, { cutAfter }, lastsMs / 4)
      },
    },
    { name: 'a black hole', play: () => behaving(standalone, { stall: true }) },
    { name: 'replies are lost', play: () => behaving(standalone, { dropReplies: true }) },
    {
      name: '`CLIENT PAUSE`',
      async play() {
        await node.command('CLIENT', 'PAUSE', Math.round(lastsMs), 'ALL')
        await node.command('PING')
      },
    },
    { name: '`SCRIPT FLUSH`', play: () => each(standalone, cluster, 'SCRIPT', 'FLUSH') },
    { name: '`FUNCTION FLUSH`', play: () => each(standalone, cluster, 'FUNCTION', 'FLUSH') },
    { name: '`FLUSHALL`', play: () => each(standalone, cluster, 'FLUSHALL') },
    { name: "a cluster's master is halted", play: () => halting(master) },
    { name: 'a black hole before the cluster', play: () => behaving(cluster, { stall: true }) },
    { name: `${LIMITERS} limiters are opened, called, and closed or dropped`, play: () => openAndLeave(standalone) },
    { name: `${WORKERS} worker threads are terminated in the midst of calls`, play: () => startAndTerminate(node) },
  ]
}

const each = (standalone, cluster, ...command) =>
  Promise.all([standalone, cluster].map((stage) => stage.each((node) => node.command(...command))))

/** Half of them are closed; the others are left to the collector, which closes their connections as well. */
async function openAndLeave(stage) {
  const limiters = Array.from(
    { length: LIMITERS },
    (_, index) => new RateLimiter({ ...stage.options, limit: 5, window: '1s', prefix: `other-${index}` }),
  )
  await Promise.all(limiters.flatMap((limiter) => [limiter.check('a'), limiter.check('b')]))
  await Promise.all(limiters.map((limiter, index) => (index % 2 === 0 ? limiter.close() : undefined)))
}

async function startAndTerminate(node) {
  await Promise.all(
    Array.from({ length: WORKERS }, async () => {
      const worker = new Worker(program('worker.mjs'), { workerData: { redisUrl: node.server.url } })
      await once(worker, 'message')
      await worker.terminate()
    }),
  )
}
