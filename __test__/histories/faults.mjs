/** What happens in the midst of a round of histories, in turn. None of them makes Redis forget what it has answered. */

import { sleep } from '../support/wait.mjs'

const LASTS_MS = 120

/** `{ name, play }` each; `stage` has the `redis` and two `proxies`, behind each of which half of the processes are. */
export const FAULTS = [
  { name: 'none', play: () => {} },
  { name: 'replies are cut', play: (stage) => cut(stage, [1, 10, 60]) },
  { name: 'replies are lost', play: (stage) => behaving(stage, { dropReplies: true }) },
  { name: 'bytes are held up, and come late', play: ({ proxies: [proxy] }) => held(proxy) },
  { name: 'the server is killed, and comes back with what it had', play: ({ redis }) => redis.restart() },
  {
    name: 'what is asked and answered is late',
    play: (stage) => behaving(stage, { delayAskedMs: 30, delayAnsweredMs: 30 }),
  },
  {
    name: 'the server is halted',
    async play({ redis }) {
      redis.process.kill('SIGSTOP')
      await sleep(LASTS_MS)
      redis.process.kill('SIGCONT')
    },
  },
  { name: 'connections are reset', play: ({ proxies }) => proxies.forEach((proxy) => proxy.reset()) },
  { name: 'bytes come in pieces', play: (stage) => behaving(stage, { sliceBytes: 40 }) },
]

/** Only half of the processes meet it, so that the others see at once what became of calls that nobody answered. */
async function behaving({ proxies: [proxy] }, manners, ms = LASTS_MS) {
  proxy.behave(manners)
  await sleep(ms)
  // Replies that were dropped must not be followed by others on the same connection: no network does that.
  proxy.reset()
  proxy.behave()
}

async function cut(stage, places) {
  for (const cutAfter of places) await behaving(stage, { cutAfter }, LASTS_MS / places.length)
}

async function held(proxy) {
  proxy.behave({ stall: true })
  await sleep(LASTS_MS)
  proxy.behave()
}
