/** The Redis user of docs/security.md. */

import { readFileSync } from 'node:fs'

import { redisCommand } from '../../scripts/resp.mjs'

const security = readFileSync(new URL('../../docs/security.md', import.meta.url), 'utf8')

/** The words of the line that makes it. */
export const line = /```acl\n(.+)\n```/.exec(security)[1].split(' ')
export const RIGHTS = line.filter((word) => /^[+~&]/.test(word))
export const USER = line[2]
export const PASSWORD = line.find((word) => word.startsWith('>')).slice(1)

/** Makes it on `servers`, with the further rights that the document says are needed there. */
export function makeUser(servers, ...further) {
  return Promise.all(servers.map(({ port }) => redisCommand(port, ...line, ...further)))
}

/** The URL of a server, for that user. */
export const urlFor = ({ port }) => `redis://${USER}:${PASSWORD}@127.0.0.1:${port}`
