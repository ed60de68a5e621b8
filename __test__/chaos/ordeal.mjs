/** A limiter under load, a fault, its end: what is promised whatever the fault is, and what was measured of it. */

import assert from 'node:assert/strict'

import { RateLimiter } from 'distributed-rate-limiter'

import { assertAllSettled, startLoad } from '../support/load.mjs'
import { sleep, until } from '../support/wait.mjs'
import { witness } from '../support/witness.mjs'
import { LIMIT, Model, WINDOW } from './model.mjs'

/** How long anything may take that has to happen: not a promise, but an end to waiting. */
const PATIENCE_MS = 20_000
/** Decisions that make a phase. */
const ENOUGH = 300

/** A limiter of the model's limit that tells what it sees of the store. It is closed with the scene. */
export function watched(scene, options) {
  const seen = witness()
  const limiter = seen.watch(new RateLimiter({ limit: LIMIT, window: WINDOW, logger: seen.logger, ...options }))
  scene.after(() => limiter.close())
  return { limiter, seen }
}

/**
 * Plays one fault on `stage`.
 *
 * @param scene `long`, and `after(cleanup)`
 * @param stage what the topology started
 * @param given.before who decides before it: 'redis', or 'fallback' where Redis is not there yet
 * @param given.fault does it; resolves when it is done
 * @param given.lasts for how long, in milliseconds
 * @param given.mend ends it; resolves when Redis could answer again
 * @param given.during who decides while it lasts: 'fallback', 'redis' (it is no fault to callers), or 'either'
 * @param given.forgets whether Redis loses what it has counted when the fault comes
 * @param given.says what the error of `storeDown` says
 * @param given.options further ones of the limiter
 * @returns what was measured, with the phases of the load and the limiter's stats
 */
export async function ordeal(scene, stage, given) {
  const { before = 'redis', fault, lasts = scene.lasts, mend, during = 'fallback', forgets = false, says } = given
  const { limiter, seen } = watched(scene, { ...stage.options, ...given.options })
  const model = new Model()
  if (before === 'redis') await limiter.ready({ timeout: PATIENCE_MS })
  const load = startLoad(limiter, { callers: scene.callers, model })
  const heard = (phase, source) => until(() => phase.sources[source] > ENOUGH, `${source} decided`, PATIENCE_MS)
  try {
    await heard(load.now, before)

    const faulty = load.phase('during')
    const strike = () => fault?.({ limiter, model })
    await (forgets ? model.forgets(strike) : strike())
    await sleep(lasts)
    if (during !== 'either') await heard(faulty, during)
    await mend?.({ limiter, model })

    const back = load.phase('back')
    const mended = performance.now()
    await until(() => back.sources.redis > 0, 'Redis decided again', PATIENCE_MS)
    const returnMs = performance.now() - mended
    await until(() => limiter.stats().store === 'up', 'the limiter knows it', PATIENCE_MS)
    await heard(load.phase('afterwards'), 'redis')
    // All of it is back: of a cluster most servers decide all the while. So many calls are on keys of each of them.
    let looks = 0
    await until(
      async () => {
        looks += 1
        const { sources } = load.phase(`whole, look ${looks}`)
        await until(() => sources.redis > 3 * ENOUGH, 'Redis decided', PATIENCE_MS)
        return sources.fallback === 0
      },
      'Redis decides every call again',
      PATIENCE_MS,
    )
    const phases = await load.stop()

    assertAllSettled(phases)
    assertToldOfEachChange(seen)
    assert.deepEqual(model.violations(), [], 'nobody was admitted above the limit')
    const stats = limiter.stats()
    assert.equal(stats.pending, 0, 'nothing is left waiting')
    if (during === 'redis') {
      const { sources, settled } = phases.during
      // What is known to be refused Redis has refused.
      assert.equal(sources.redis + sources['deny-cache'], settled, `Redis decided every call: ${phases.during}`)
      assert.equal(stats.circuitOpened, 0, 'it was no failure of the store')
    }
    if (during === 'fallback') assert.ok(seen.names.includes('storeDown'), 'it was told')
    if (says) assertSays(seen, says)
    const { lost } = await reconciled(scene, stage, model)
    return {
      unsettled: unsettledOf(phases),
      over: model.overAdmitted(),
      lost,
      p99Ms: phases.during.latencyOf(0.99),
      slowestMs: phases.during.latencyOf(1),
      knowingMs: phases.during.knowing.length > 0 ? phases.during.latencyOf(0.99, phases.during.knowing) : undefined,
      returnMs,
      phases,
      stats,
      seen,
      model,
    }
  } finally {
    await load.stop()
    await limiter.close()
  }
}

/** What Redis has counted beside what was told, through a limiter that meets no fault. */
export async function reconciled(scene, stage, model, options) {
  const { limiter } = watched(scene, { ...stage.direct, timeout: '30s', onStoreError: 'throw', ...options })
  return model.reconcile(async (key) => {
    const { remaining } = await limiter.peek(key)
    return LIMIT - remaining
  })
}

export function unsettledOf(phases) {
  return Object.values(phases).reduce((sum, { started, settled }) => sum + started - settled, 0)
}

/** Each change of state is one event and at most one line for the logger: down and up take turns, and up is the last. */
export function assertToldOfEachChange(seen) {
  const { names, told, events } = seen
  assert.equal(names.at(-1), 'storeUp', `${names}`)
  for (const [index, name] of names.entries()) assert.notEqual(name, names[index - 1], `told twice: ${names}`)
  const downs = events.filter(({ name }) => name === 'storeDown')
  for (const { error } of downs) assert.ok(error.code.startsWith('ERR_RATE_LIMIT_STORE_'), `${error.code}: ${error}`)
  const lines = `the logger was told ${told.length} times: ${JSON.stringify(told)}`
  assert.ok(told.length >= downs.length && told.length <= names.length, lines)
  for (const line of told) assert.equal(typeof line, 'string', lines)
}

/** `storeDown` came with an error that names the cause, so that the operator knows what to do. */
export function assertSays(seen, says) {
  const errors = seen.events.filter(({ name }) => name === 'storeDown').map(({ error }) => error.message)
  assert.ok(
    errors.some((message) => says.test(message)),
    `no storeDown says ${says}: ${JSON.stringify(errors)}`,
  )
}

/** Whoever makes a limiter now, and wants errors, is told why Redis does not decide. */
export async function refused(scene, stage, says, options) {
  const { limiter } = watched(scene, { ...stage.options, timeout: '20s', onStoreError: 'throw', ...options })
  const error = await limiter.check('a').then(
    () => undefined,
    (reason) => reason,
  )
  assert.equal(error?.code, 'ERR_RATE_LIMIT_STORE_UNAVAILABLE', `${error}`)
  assert.match(error.message, says)
  await limiter.close()
  return error
}
