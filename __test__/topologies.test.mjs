/** Servers that stand to each other as a cluster, as a master with its sentinels, behind TLS, a socket, or an ACL. */

import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { networkInterfaces, tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'

import { RateLimiter } from 'distributed-rate-limiter'

import { freePort, startRedis } from '../scripts/redis.mjs'
import { redisCommand } from '../scripts/resp.mjs'
import { makeCertificates } from '../scripts/certificates.mjs'
import { assertDecision } from './support/decision.mjs'
import { allowedOf } from './support/face.mjs'
import { rejectionOf } from './support/refusal.mjs'
import { until } from './support/wait.mjs'

const OPTIONS = { limit: 5, window: '1d', timeout: '10s', onStoreError: 'throw', denyCache: false }

describe('TLS', { timeout: 60_000 }, () => {
  let folder, files, server, port
  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'rate-limiter-tls-'))
    files = makeCertificates(folder)
    port = await freePort()
    const args = ['--tls-port', port, '--tls-ca-cert-file', files.ca, '--tls-cert-file', files.serverCert]
    server = await startRedis({ args: [...args, '--tls-key-file', files.serverKey, '--tls-auth-clients', 'yes'] })
  })
  after(async () => {
    await server?.stop()
    rmSync(folder, { recursive: true, force: true })
  })

  const tls = (options) => ({
    ca: readFileSync(files.ca),
    cert: readFileSync(files.clientCert, 'utf8'),
    key: readFileSync(files.clientKey),
    ...options,
  })
  const limiterOf = (options, host = 'localhost') =>
    new RateLimiter({ ...OPTIONS, redisUrl: `rediss://${host}:${port}`, ...options })

  test('a certificate of its own authority, and one of ours', async (t) => {
    const limiter = limiterOf({ tls: tls() })
    t.after(() => limiter.close())
    assert.equal(await allowedOf(limiter, 'a', 10), 5)
    assertDecision(await limiter.check('a'), { allowed: false, source: 'redis' })
  })

  test('a name that the certificate has, where the host has another', async (t) => {
    const limiter = limiterOf({ tls: tls({ serverName: 'localhost' }) }, '127.0.0.1')
    t.after(() => limiter.close())
    assertDecision(await limiter.check('b'), { allowed: true, source: 'redis' })
  })

  for (const [what, options, host, says] of [
    ['an authority that nobody knows', () => ({}), 'localhost', /UnknownIssuer|certificate/],
    ['a host that the certificate does not name', () => ({ tls: tls() }), '127.0.0.1', /not valid for|NotValidForName/],
    ['no certificate of ours', () => ({ tls: { ca: readFileSync(files.ca) } }), 'localhost', /./],
    [
      'a name that the certificate does not have',
      () => ({ tls: tls({ serverName: 'other' }) }),
      'localhost',
      /not valid for/,
    ],
  ]) {
    test(`${what}: nothing is sent, and the error says why`, async (t) => {
      const limiter = limiterOf({ ...options(), timeout: 500 }, host)
      t.after(() => limiter.close())
      const error = await rejectionOf(() => limiter.ready({ timeout: 2_000 }), what)
      assert.equal(error.code, 'ERR_RATE_LIMIT_STORE_UNAVAILABLE')
      assert.match(error.message, says)
    })
  }

  test('a server that speaks no TLS is refused', async (t) => {
    const limiter = new RateLimiter({
      ...OPTIONS,
      timeout: 500,
      redisUrl: `rediss://localhost:${server.port}`,
      tls: tls(),
    })
    t.after(() => limiter.close())
    const error = await rejectionOf(() => limiter.ready({ timeout: 2_000 }), 'a plain server')
    assert.equal(error.code, 'ERR_RATE_LIMIT_STORE_UNAVAILABLE')
  })
})

describe('one server', { timeout: 60_000 }, () => {
  let folder, server
  const hasIpv6 = Object.values(networkInterfaces()).some((each) => each.some(({ address }) => address === '::1'))
  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'rate-limiter-socket-'))
    const args = ['--unixsocket', join(folder, 'redis.sock'), '--databases', '16']
    server = await startRedis({ args: hasIpv6 ? [...args, '--bind', '127.0.0.1', '::1'] : args })
  })
  after(async () => {
    await server?.stop()
    rmSync(folder, { recursive: true, force: true })
  })

  async function decides(t, redisUrl, options = {}) {
    const limiter = new RateLimiter({ ...OPTIONS, redisUrl, ...options })
    t.after(() => limiter.close())
    assertDecision(await limiter.check('a'), { source: 'redis' })
    return limiter
  }

  test('a socket of the file system, and a database', async (t) => {
    await decides(t, `unix://${join(folder, 'redis.sock')}?db=7`)
    assert.match(await redisCommand(server.port, 'INFO', 'keyspace'), /db7:keys=1/)
  })

  test('an IPv6 address', async (t) => {
    const url = `redis://[::1]:${server.port}`
    if (hasIpv6) {
      await decides(t, url)
    } else {
      // Without the protocol there is nobody to reach, and the address is understood all the same.
      const limiter = new RateLimiter({ ...OPTIONS, timeout: 500, redisUrl: url })
      t.after(() => limiter.close())
      const error = await rejectionOf(() => limiter.ready({ timeout: 1_000 }), url)
      assert.match(error.message, /::1/)
    }
  })

  test('a name for whoever looks at the connections', async (t) => {
    await decides(t, server.url, { clientName: 'api-7' })
    assert.match(await redisCommand(server.port, 'CLIENT', 'LIST'), / name=api-7 /)
  })
})
