/** The clients of Redis that the peers are given, each as it is fastest. */

/** `auto`: calls of one turn of the event loop leave in one pipeline. */
export async function openIoredis(redisUrl, { auto = false } = {}) {
  const { Redis } = await import('ioredis')
  const client = new Redis(redisUrl, { enableAutoPipelining: auto })
  await client.ping()
  return { client, close: () => client.disconnect() }
}

export async function openNodeRedis(redisUrl) {
  const { createClient } = await import('redis')
  const client = createClient({ url: redisUrl })
  // Without a listener a lost connection would end the process; the call in flight rejects and ends the run anyway.
  client.on('error', () => {})
  await client.connect()
  return { client, close: () => client.destroy() }
}

export async function openGlide(redisUrl) {
  const { GlideClient } = await import('@valkey/valkey-glide')
  const { hostname: host, port, pathname } = new URL(redisUrl)
  const client = await GlideClient.createClient({
    addresses: [{ host, port: Number(port) }],
    databaseId: Number(pathname.slice(1)),
    // By default it gives up after 250 ms and refuses a 1,001st call.
    requestTimeout: 10_000,
    inflightRequestsLimit: 16_384,
  })
  return { client, close: () => client.close() }
}
