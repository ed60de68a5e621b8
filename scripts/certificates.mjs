/** Certificates for tests: an authority, a server of the name `localhost`, and a client. Made by openssl. */

import { spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { installByApt } from './redis.mjs'
import { findOnPath } from './run.mjs'

const DAYS = '2'

/** Makes them in `folder`: `{ ca, serverCert, serverKey, clientCert, clientKey }`, each the path of a PEM file. */
export function makeCertificates(folder) {
  const command = findOnPath('openssl') ?? installByApt('openssl')
  if (!command) throw new Error('openssl was not found: install it and run this again')
  const file = (name) => join(folder, name)
  const openssl = (...args) => {
    const { status, stderr, error } = spawnSync(command, args, { encoding: 'utf8', timeout: 60_000 })
    if (status !== 0) throw error ?? new Error(`openssl ${args[0]} failed:\n${stderr}`)
  }
  const key = ['-newkey', 'rsa:2048', '-nodes', '-keyout']
  openssl('req', '-x509', ...key, file('ca.key'), '-out', file('ca.crt'), '-days', DAYS, '-subj', '/CN=test authority')
  const signed = (name, extensions) => {
    writeFileSync(file(`${name}.ext`), extensions)
    openssl('req', ...key, file(`${name}.key`), '-out', file(`${name}.csr`), '-subj', `/CN=${name}`)
    const by = ['-CA', file('ca.crt'), '-CAkey', file('ca.key'), '-CAcreateserial']
    const request = ['-req', '-in', file(`${name}.csr`), '-extfile', file(`${name}.ext`)]
    openssl('x509', ...request, ...by, '-out', file(`${name}.crt`), '-days', DAYS)
    return [file(`${name}.crt`), file(`${name}.key`)]
  }
  const [serverCert, serverKey] = signed('server', 'subjectAltName=DNS:localhost\nextendedKeyUsage=serverAuth\n')
  const [clientCert, clientKey] = signed('client', 'extendedKeyUsage=clientAuth\n')
  return { ca: file('ca.crt'), serverCert, serverKey, clientCert, clientKey }
}
