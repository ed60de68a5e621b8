/**
 * A budget of tokens for calls to a language model: each user has 20,000 a minute, and what a call costs is known only when the
 * model has answered. So what it may cost at most is kept back for it, and settled afterwards: what was not used is free again, what
 * was used beyond is taken on top. Where this process crashes meanwhile, what it has kept back is free after LONGEST.
 */

import { createServer } from 'node:http'
import { json } from 'node:stream/consumers'
import { RateLimiter } from 'distributed-rate-limiter'

const { PORT = '3000', BUDGET = '20000', WINDOW = '1m', MOST = '1000', LONGEST = '2m', REDIS_URL } = process.env

const budget = new RateLimiter({ limit: Number(BUDGET), window: WINDOW, redisUrl: REDIS_URL, prefix: 'tokens' })

/** In place of a model: an answer as long as the prompt, but for `maxTokens`. A real one tells its usage alike. */
async function complete(prompt, maxTokens) {
  const words = prompt.split(/\s+/).filter(Boolean)
  const answer = words.slice(0, maxTokens)
  return { text: answer.join(' '), usage: { prompt: words.length, completion: answer.length } }
}

/** Asks the model, and settles what it took of what was kept back for it. */
async function answer(prompt, reservation) {
  try {
    const { text, usage } = await complete(prompt, reservation.granted)
    const used = usage.prompt + usage.completion
    await reservation.settle(used)
    return { text, used }
  } finally {
    // Where the model has failed nothing was used. Where it has been settled this does nothing.
    await reservation.cancel()
  }
}

const server = createServer(async (request, response) => {
  const say = (status, body, headers = {}) =>
    response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(`${JSON.stringify(body)}\n`)
  try {
    const user = request.headers['x-user-id'] ?? 'somebody'
    const { prompt = '' } = await json(request)

    const reservation = await budget.reserve(user, { cost: Number(MOST), ttl: LONGEST })
    if (!reservation.allowed) return say(429, { error: 'No tokens left' }, { 'retry-after': reservation.retryAfter })

    say(200, await answer(prompt, reservation))
  } catch (error) {
    say(error instanceof SyntaxError ? 400 : 500, { error: error.message })
  }
})
server.listen(Number(PORT), '127.0.0.1', () => {
  const url = `http://127.0.0.1:${server.address().port}`
  console.log(`Listening on ${url}: ${BUDGET} tokens per ${WINDOW} and user.
  curl -H 'x-user-id: alice' -d '{"prompt": "a question of seven words or so"}' ${url}/`)
})

// Answers what has arrived, then leaves.
const stop = () => server.close((alreadyClosing) => alreadyClosing || budget.close())
process.on('SIGINT', stop)
process.on('SIGTERM', stop)
