/** How the command line speaks with Redis: replies in any pieces, addresses, slots that move, TLS, sockets, users of few rights. */

import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:http'
import { createRequire } from 'node:module'
import { createServer as createTcpServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'

import { makeCertificates } from '../scripts/certificates.mjs'
import { startRedisCluster } from '../scripts/redis-cluster.mjs'
import { freePort, startRedis } from '../scripts/redis.mjs'
import { redisCommand } from '../scripts/resp.mjs'
import { told, toldJson } from './support/cli.mjs'

const require = createRequire(import.meta.url)
const { elsewhere, parseAddress, shownAddress } = require('../cli/redis/address.js')
const { Connection } = require('../cli/redis/connection.js')
const { Redis } = require('../cli/redis/redis.js')
const { encodeCommand, ProtocolError, ReplyError, ReplyReader } = require('../cli/redis/reply.js')
const { slotOf } = require('../cli/redis/slot.js')
const { RateLimiter } = require('..')

/** Replies as plain values. */
const plain = (reply) =>
  Buffer.isBuffer(reply)
    ? reply.toString()
    : reply instanceof ReplyError
      ? `error ${reply.kind}: ${reply.message}`
      : Array.isArray(reply)
        ? reply.map(plain)
        : reply

describe('replies', () => {
  const WIRE = Buffer.from(
    '+OK\r\n:42\r\n:-7\r\n$5\r\na\r\nbc\r\n$0\r\n\r\n$-1\r\n*-1\r\n*0\r\n-NOPERM no\r\n*3\r\n$1\r\n0\r\n*2\r\n$3\r\nä!\r\n*0\r\n-ERR x\r\n+end\r\n',
  )
  const REPLIES = [
    'OK',
    42,
    -7,
    'a\r\nbc',
    '',
    null,
    null,
    [],
    'error NOPERM: NOPERM no',
    ['0', ['ä!', []], 'error ERR: ERR x'],
    'end',
  ]

  test('are the same in whatever pieces they come', () => {
    for (let size = 1; size <= WIRE.length; size += 1) {
      const reader = new ReplyReader()
      const read = []
      for (let at = 0; at < WIRE.length; at += size) read.push(...reader.take(WIRE.subarray(at, at + size)))
      assert.deepEqual(read.map(plain), REPLIES, `in pieces of ${size}`)
    }
  })

  test('of many megabytes in small pieces are joined once', () => {
    const length = 32 * 1024 * 1024
    const reader = new ReplyReader()
    assert.deepEqual(reader.take(Buffer.from(`*2\r\n$${length}\r\n`)), [])
    const piece = Buffer.alloc(4_096, 'x')
    const { concat } = Buffer
    let joined = 0
    Buffer.concat = (...args) => ((joined += 1), concat(...args))
    try {
      for (let at = 0; at < length; at += piece.length) assert.deepEqual(reader.take(piece), [])
      const [[big, next]] = reader.take(Buffer.from('\r\n+next\r\n'))
      assert.equal(big.length, length)
      assert.equal(String(next), 'next')
    } finally {
      Buffer.concat = concat
    }
    assert.ok(joined < 5, `${joined} times`)
  })

  for (const [what, wire] of Object.entries({
    HTTP: 'HTTP/1.1 400 Bad Request\r\n\r\n',
    'a length that is no number': '$x\r\n',
    'a length without an end': '$99999999999999\r\n',
    'a string without its end': '$2\r\nabcd',
    'a line without an end': '+'.padEnd(100_000, 'x'),
  })) {
    test(`${what} is refused`, () => {
      assert.throws(() => new ReplyReader().take(Buffer.from(wire)), ProtocolError)
    })
  }

  test('commands are written as bytes', () => {
    assert.equal(
      String(encodeCommand(['SET', 'ä', 5, Buffer.from('x')])),
      '*4\r\n$3\r\nSET\r\n$2\r\nä\r\n$1\r\n5\r\n$1\r\nx\r\n',
    )
  })
})

describe('addresses', () => {
  const rows = {
    'redis://localhost': ['localhost', 6379, false, '', '', 0, 'redis://localhost:6379'],
    'redis://localhost:80': ['localhost', 80, false, '', '', 0, 'redis://localhost:80'],
    'valkeys://:p%40ss@h:1/3': ['h', 1, true, '', 'p@ss', 3, 'rediss://h:1/3'],
    'rediss://u:p:q@[::1]:7000': ['::1', 7000, true, 'u', 'p:q', 0, 'rediss://[::1]:7000'],
  }
  for (const [url, [host, port, isSecure, username, password, database, shown]] of Object.entries(rows)) {
    test(url, () => {
      const address = parseAddress(url)
      assert.deepEqual(address, { host, port, isSecure, username, password, database })
      assert.equal(shownAddress(address), shown)
    })
  }

  test('of a socket', () => {
    const address = parseAddress('unix:///run/a%20b.sock?db=2&pass=p&user=u')
    assert.deepEqual(address, { path: '/run/a b.sock', isSecure: false, username: 'u', password: 'p', database: 2 })
    assert.equal(shownAddress(address), 'unix:///run/a b.sock')
  })

  test('elsewhere one logs in in the same way', () => {
    assert.deepEqual(elsewhere(parseAddress('rediss://u:p@h:1'), 'other', 2), {
      ...parseAddress('rediss://u:p@other:2'),
      path: undefined,
    })
  })

  for (const url of [
    'hunter2',
    'http://:hunter2@h',
    'redis://:hunter2@h:port',
    'redis://:hunter2@h/zero',
    'unix://?pass=hunter2',
  ]) {
    test(`${url} is refused, and not quoted`, () => {
      assert.throws(
        () => parseAddress(url),
        (error) => !error.message.includes('hunter2'),
      )
    })
  }
})

describe('a connection', () => {
  /** Something at a port that answers each piece by `answer(piece, socket)`. */
  async function speaking(t, answer) {
    const server = createTcpServer((socket) => {
      socket.on('error', () => {})
      socket.on('data', (piece) => answer(String(piece), socket))
    })
    await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
    t.after(() => server.close())
    return parseAddress(`redis://127.0.0.1:${server.address().port}`)
  }
  const polite = (say) => (piece, socket) => {
    const asked = piece.split('\r\n*').length
    for (let at = 0; at < asked; at += 1) say(socket, piece)
  }

  test('gives each command its own reply', async (t) => {
    const redis = await startRedis()
    t.after(() => redis.stop())
    const connection = await Connection.open(parseAddress(redis.url), { timeout: 5_000 })
    t.after(() => connection.close())
    const calls = Array.from({ length: 500 }, (_, at) =>
      at % 7 === 0 ? connection.call('GETX') : connection.call('ECHO', at),
    )
    const settled = await Promise.allSettled(calls)
    for (const [at, { status, value }] of settled.entries()) {
      if (at % 7 === 0) assert.equal(status, 'rejected')
      else assert.equal(String(value), String(at))
    }
  })

  test('that is closed fails all that waits, and what is asked later', async (t) => {
    const address = await speaking(
      t,
      polite((socket, piece) => (piece.includes('LATER') ? socket.destroy() : socket.write('+OK\r\n'))),
    )
    const connection = await Connection.open(address, { timeout: 5_000 })
    const waiting = [connection.call('LATER'), connection.call('LATER')]
    for (const { reason } of await Promise.allSettled(waiting))
      assert.match(reason.message, /closed the connection|ECONNRESET/)
    await assert.rejects(connection.call('PING'), /closed the connection|ECONNRESET/)
    assert.equal(connection.isOpen, false)
  })

  test('that does not answer fails after the timeout, also while it logs in', async (t) => {
    const silent = await speaking(t, () => {})
    await assert.rejects(Connection.open(silent, { timeout: 50 }), /has not answered for 50 ms/)
    const fallingSilent = await speaking(
      t,
      polite((socket, piece) => piece.includes('LATER') || socket.write('+OK\r\n')),
    )
    const connection = await Connection.open(fallingSilent, { timeout: 50 })
    await assert.rejects(connection.call('LATER'), /has not answered for 50 ms/)
  })
})

describe('a cluster', { timeout: 120_000 }, () => {
  let cluster
  let redis
  before(async () => {
    cluster = await startRedisCluster()
    redis = await Redis.open([cluster.nodes[0].url], { timeout: 5_000 })
  })
  after(async () => {
    redis?.close()
    await cluster?.stop()
  })

  test('is known as one without being told', () => assert.equal(redis.isCluster, true))

  test('slots are those of Redis', async () => {
    for (const name of ['', 'a', 'foo{bar}baz', '{}x', '{a', 'a}b{c}', '{{x}}', 'ключ', 'x'.repeat(1_000)]) {
      assert.equal(slotOf(Buffer.from(name)), await redis.call('CLUSTER', 'KEYSLOT', name), name)
    }
  })

  test('a key is asked for where it is, also while its slot moves and after it has', async () => {
    const name = Buffer.from('moving')
    await redis.callOn(name, 'SET', name, 'x')
    const slot = slotOf(name)
    const ids = await Promise.all(cluster.nodes.map(({ port }) => redisCommand(port, 'CLUSTER', 'MYID')))
    const slots = await redis.call('CLUSTER', 'SLOTS')
    const [, , [, port, id]] = slots.find(([from, to]) => slot >= from && slot <= to)
    const from = cluster.nodes.find((node) => node.port === port)
    const to = cluster.nodes.find((node) => node.port !== port)
    const toId = ids[cluster.nodes.indexOf(to)]
    await redisCommand(to.port, 'CLUSTER', 'SETSLOT', slot, 'IMPORTING', String(id))
    await redisCommand(from.port, 'CLUSTER', 'SETSLOT', slot, 'MIGRATING', toId)
    await redisCommand(from.port, 'MIGRATE', '127.0.0.1', to.port, 'moving', 0, 5_000)
    assert.equal(String(await redis.callOn(name, 'GET', name)), 'x', 'while it moves')
    for (const node of [to, from]) await redisCommand(node.port, 'CLUSTER', 'SETSLOT', slot, 'NODE', toId)
    assert.equal(String(await redis.callOn(name, 'GET', name)), 'x', 'after it has moved')
    assert.equal((await redis.masters()).length, 3)
  })

  test('all keys are seen, blocked and forgotten, wherever they lie', async (t) => {
    const limiter = new RateLimiter({
      limit: 9,
      window: '1h',
      redisUrl: cluster.nodes.map(({ url }) => url),
      timeout: '10s',
      onStoreError: 'throw',
    })
    t.after(() => limiter.close())
    const keys = Array.from({ length: 60 }, (_, at) => `user:${at}`)
    await Promise.all(keys.map((key, at) => limiter.isAllowed(key, { cost: 1 + (at % 5) })))
    const env = { REDIS_URL: cluster.nodes[1].url }
    const top = await toldJson(['top', '-n', '100'], { env })
    assert.deepEqual(
      top.top.map(({ key, used }) => `${key} ${used}`).sort(),
      keys.map((key, at) => `${key} ${1 + (at % 5)}`).sort(),
    )
    for (const key of keys.slice(0, 5)) {
      assert.equal((await told(['block', key, '1h'], { env })).code, 0)
      assert.equal(await limiter.isAllowed(key), false)
      assert.equal((await toldJson(['inspect', key], { env })).limits[0].blocked, true)
      assert.equal((await told(['reset', key], { env })).code, 0)
      assert.equal((await limiter.peek(key)).remaining, 9)
    }
  })

  test('bench measures it and leaves nothing', async () => {
    const seen = await toldJson(['bench', '--seconds', '0.3', '--keys', '50'], {
      env: { REDIS_URL: cluster.nodes[2].url },
    })
    assert.ok(seen.sources.redis > 0)
    assert.equal(seen.storeErrors, 0)
    for (const { port } of cluster.nodes) assert.deepEqual(await redisCommand(port, 'KEYS', 'rl-bench*'), [])
  })

  test('a server that is none is said to be none', async (t) => {
    const single = await startRedis()
    t.after(() => single.stop())
    const end = await told(['top', '--cluster', '--redis-url', single.url])
    assert.equal(end.code, 1)
    assert.match(end.stderr, /is no cluster: leave --cluster out/)
  })
})

describe('TLS', { timeout: 60_000 }, () => {
  let folder
  let files
  let redis
  let url
  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'rate-limiter-cli-'))
    files = makeCertificates(folder)
    const tlsPort = await freePort()
    const args = ['--tls-port', tlsPort, '--tls-ca-cert-file', files.ca, '--tls-cert-file', files.serverCert]
    redis = await startRedis({ args: [...args, '--tls-key-file', files.serverKey, '--tls-auth-clients', 'yes'] })
    url = `rediss://localhost:${tlsPort}`
  })
  after(async () => {
    await redis?.stop()
    rmSync(folder, { recursive: true, force: true })
  })
  const own = () => ['--ca', files.ca, '--cert', files.clientCert, '--key', files.clientKey]

  test('with certificates of both sides', async () => {
    const seen = await toldJson(['top', '--redis-url', url, ...own()])
    assert.equal(seen.keys, 0)
    assert.equal(seen.redis, url)
  })

  test('an authority that is not believed is named as what is missing', async () => {
    const end = await told(['top', '--redis-url', url])
    assert.equal(end.code, 1)
    assert.match(end.stderr, /Name the authority of its certificate by --ca/)
  })

  test('a certificate of another name is refused, unless that name is said', async () => {
    const byAddress = url.replace('localhost', '127.0.0.1')
    const end = await told(['top', '--redis-url', byAddress, ...own()])
    assert.equal(end.code, 1)
    assert.match(end.stderr, /Use the name that the certificate has, or say it by --server-name/)
    assert.equal((await told(['top', '--redis-url', byAddress, ...own(), '--server-name', 'localhost'])).code, 0)
    assert.equal((await told(['top', '--redis-url', url, ...own(), '--server-name', 'elsewhere'])).code, 1)
  })

  test('bench speaks it as well', async () => {
    const seen = await toldJson(['bench', '--redis-url', url, ...own(), '--seconds', '0.2', '--keys', '5'])
    assert.ok(seen.sources.redis > 0)
  })

  test('a file that is not there is an error of the command line', async () => {
    const end = await told(['top', '--redis-url', url, '--ca', join(folder, 'none')])
    assert.equal(end.code, 2)
    assert.match(end.stderr, /the file of --ca cannot be read/)
  })
})

describe('other ways', { timeout: 60_000 }, () => {
  let folder
  let redis
  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'rate-limiter-cli-'))
    redis = await startRedis({ args: ['--unixsocket', join(folder, 'redis.sock')] })
  })
  after(async () => {
    await redis?.stop()
    rmSync(folder, { recursive: true, force: true })
  })

  test('a socket of the file system, and another database', async (t) => {
    const limiter = new RateLimiter({
      limit: 9,
      window: '1h',
      redisUrl: `${redis.url}/3`,
      timeout: '10s',
      onStoreError: 'throw',
    })
    t.after(() => limiter.close())
    await limiter.isAllowed('alice')
    const socket = `unix://${join(folder, 'redis.sock')}`
    assert.equal((await toldJson(['inspect', 'alice', '--redis-url', `${socket}?db=3`])).limits[0].used, 1)
    assert.equal((await toldJson(['inspect', 'alice', '--redis-url', `${redis.url}/3`])).limits[0].used, 1)
    assert.deepEqual((await toldJson(['inspect', 'alice', '--redis-url', socket])).limits, [])
  })

  test('the first that answers is asked', async () => {
    const nowhere = `redis://127.0.0.1:${await freePort()}`
    const seen = await toldJson(['top', '--redis-url', nowhere, '--redis-url', redis.url])
    assert.equal(seen.redis, redis.url)
  })

  test('what is no Redis is said to be none', async (t) => {
    const server = createServer((req, res) => res.end('hello'))
    await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
    t.after(() => server.close())
    const end = await told(['top', '--redis-url', `redis://127.0.0.1:${server.address().port}`])
    assert.equal(end.code, 1)
    assert.match(end.stderr, /is it the port of a Redis|closed the connection/)
  })
})
