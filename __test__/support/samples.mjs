/**
 * Runs every JavaScript sample of a Markdown file as it stands there.
 *
 * The rules for a sample, that is for every block fenced as ```js, ```javascript, ```mjs or ```cjs:
 * - It is a whole program: it declares or imports whatever it uses. There is no way to leave one out.
 * - It is an ES module, or a CommonJS module where it is fenced as ```cjs or calls `require(` and imports nothing.
 * - It finds this package by its name, and whatever is installed here beside it.
 * - The certificates ca.crt, client.crt and client.key are in its folder.
 * - Its Redis is `redis://localhost:6379` or `process.env.REDIS_URL`; both become a Redis of the test, empty for each sample.
 * - Upstash's REST interface to that Redis is where `Redis.fromEnv()` of its client looks for it.
 * - The memory that it shares by a name is one of the test, which is deleted after it.
 * - A sample that serves does so on port 3000 or on `process.env.PORT`; both become a free port of this machine. Once it
 *   listens it is asked for `/`, or for the first path that it names in `.get('/…'`; it must answer, with no 5xx, and is
 *   then ended by SIGTERM.
 * - Every other sample must come to its end by itself, with exit code 0, and print no error.
 * - Where a file's samples are to keep their word, each `console.log(…) // text` prints that text, and nothing else is printed.
 */

import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { after, before, describe as suite, test } from 'node:test'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

import { makeCertificates } from '../../scripts/certificates.mjs'
import { freePort, startRedis } from '../../scripts/redis.mjs'
import { redisCommand } from '../../scripts/resp.mjs'
import { assertEnded, assertQuiet, describe, start } from './child.mjs'
import { get, startServer } from './http.mjs'
import { codeBlocks } from './markdown.mjs'
import { isListening } from './port.mjs'
import { sharedName } from './shared.mjs'
import { startUpstash } from './upstash.mjs'
import { until } from './wait.mjs'

const WITHIN_MS = 20_000

const root = fileURLToPath(new URL('../..', import.meta.url))

/** A folder that stands where a user's project would: this package and its neighbours are installed in it. */
function dependentProject() {
  const project = mkdtempSync(join(tmpdir(), 'rate-limiter-readme-'))
  const modules = join(project, 'node_modules')
  mkdirSync(modules)
  symlinkSync(root, join(modules, 'distributed-rate-limiter'), 'dir')
  for (const name of readdirSync(join(root, 'node_modules'))) {
    if (name.startsWith('.') || name === 'distributed-rate-limiter') continue
    symlinkSync(join(root, 'node_modules', name), join(modules, name), 'dir')
  }
  return project
}

const usesUpstash = ({ code }) => code.includes("'@upstash/redis'")

const isCommonJs = ({ code }) => /\brequire\(/.test(code) && !/^\s*import\b/m.test(code)

/** Writes the sample with our Redis and our port in place of those that it names; its path. */
function fileOf(sample, { folder, redis, port }) {
  const code = sample.code
    .replaceAll(/redis:\/\/(?:localhost|127\.0\.0\.1):6379/g, redis.url)
    .replaceAll(/\b3000\b/g, String(port))
    .replaceAll(/\bshared: '[\w-]+'/g, `shared: '${sharedName()}'`)
  const file = join(folder, `line-${sample.line}.${isCommonJs(sample) ? 'cjs' : 'mjs'}`)
  writeFileSync(file, code)
  return file
}

/** What a sample says that it prints. */
const promised = ({ code }) => [...code.matchAll(/^ *console\.log\(.*\) \/\/ (.*)$/gm)].map(([, text]) => text)

/** Asks a sample that serves; ends it whatever comes. */
async function assertServes(running, sample, port, assertAnswers) {
  const [, path = '/'] = /\.get\(\s*['"`](\/[^'"`:*]*)['"`]/.exec(sample.code) ?? []
  try {
    const { status, body } = await get(port, path)
    assert.ok(status < 500, `GET ${path} was answered with ${status}: ${body}\n${running.said.stderr}`)
    await assertAnswers?.(() => get(port, path), sample)
  } finally {
    await running.stop('SIGTERM')
  }
  const end = await running.ended
  assert.ok(!end.late, `it did not end by SIGTERM: ${describe(end)}`)
}

/** Runs a sample that serves, in memory, while `use` is given its port. */
export async function withServed(sample, use) {
  const folder = dependentProject()
  const port = await freePort()
  const file = fileOf(sample, { folder, redis: {}, port })
  const env = { PORT: String(port), REDIS_URL: undefined }
  const server = await startServer(file, { port, env, cwd: folder, within: WITHIN_MS })
  try {
    await use(port)
  } finally {
    await server.stop('SIGTERM')
    rmSync(folder, { recursive: true, force: true })
  }
}

const samplesOf = (path) => codeBlocks(readFileSync(join(root, path), 'utf8'), ['js', 'javascript', 'mjs', 'cjs'])

/** Whether a Markdown file, from the repository's root, has samples. */
export const hasSamples = (path) => samplesOf(path).length > 0

/**
 * Describes the samples of `path`, from the repository's root: it has some, and each runs. `keepTheirWord` is said above;
 * `assertAnswers(ask, sample)` looks at each that serves, when it has been asked once.
 */
export function describeSamples(path, { keepTheirWord = false, assertAnswers } = {}) {
  const samples = samplesOf(path)

  suite(path, { timeout: (samples.length + 2) * WITHIN_MS }, () => {
    let redis
    let folder
    let upstash
    before(async () => {
      redis = await startRedis()
      upstash = samples.some(usesUpstash) ? await startUpstash(redis.port) : undefined
      folder = dependentProject()
      makeCertificates(folder)
    })
    after(async () => {
      rmSync(folder, { recursive: true, force: true })
      await upstash?.stop()
      await redis.stop()
    })

    test('has samples', () => {
      assert.ok(samples.length > 0, `no JavaScript was found in ${path}`)
    })

    for (const sample of samples) {
      test(`line ${sample.line}, ${sample.heading}`, async () => {
        await redisCommand(redis.port, 'FLUSHALL')
        const port = await freePort()
        const env = { REDIS_URL: redis.url, PORT: String(port), ...upstash?.env }
        const running = start(fileOf(sample, { folder, redis, port }), { cwd: folder, env, within: WITHIN_MS })
        let end
        running.ended.then((how) => (end = how))
        await until(() => end || isListening(port), 'the sample ended or listened', 2 * WITHIN_MS)
        if (!end) return assertServes(running, sample, port, assertAnswers)
        assertEnded(end, 'the sample')
        assertQuiet(end, 'the sample')
        if (keepTheirWord) assert.deepEqual(end.stdout.trimEnd().split('\n'), promised(sample))
      })
    }
  })
}
