/**
 * A Nest app whose guard answers each user 100 times a minute, and 10 times where it is dear. With REDIS_URL set, any number of its
 * processes share the count.
 */

import 'reflect-metadata'
import { Controller, Get, Module } from '@nestjs/common'
import { NestFactory } from '@nestjs/core'
import { RateLimiter } from 'distributed-rate-limiter'
import { RateLimit, RateLimitGuard } from 'distributed-rate-limiter/nest'

const { PORT = '3000', LIMIT = '100', DEAR_LIMIT = '10', WINDOW = '1m', REDIS_URL } = process.env

const limiter = new RateLimiter({ limit: Number(LIMIT), window: WINDOW, redisUrl: REDIS_URL })
// A prefix of its own: those with one prefix share counts.
const dear = new RateLimiter({ limit: Number(DEAR_LIMIT), window: WINDOW, redisUrl: REDIS_URL, prefix: 'dear' })

class GreetingController {
  hello() {
    return { hello: 'world' }
  }

  report() {
    return { report: 'a page that takes a while' }
  }
}

class AppModule {}

/** Applies decorators as TypeScript's compiler does. In TypeScript they stand above the method: `@Get() hello() { … }`. */
function decorate(decorators, target, name) {
  Reflect.decorate(decorators, target, ...(name ? [name, Object.getOwnPropertyDescriptor(target, name)] : []))
}
decorate([Get()], GreetingController.prototype, 'hello')
decorate([Get('report'), RateLimit({ limiter: dear })], GreetingController.prototype, 'report')
decorate([Controller()], GreetingController)
decorate([Module({ controllers: [GreetingController] })], AppModule)

const app = await NestFactory.create(AppModule, { logger: ['warn', 'error'] })
// A real app takes the user from its session: a header is whatever the client says.
app.useGlobalGuards(
  new RateLimitGuard({ limiter, key: (request) => request.headers['x-user-id'] ?? `address:${request.ip}` }),
)
await app.listen(Number(PORT), '127.0.0.1')

const url = `http://127.0.0.1:${app.getHttpServer().address().port}`
console.log(`Listening on ${url}: ${LIMIT} requests per ${WINDOW} and user, and ${DEAR_LIMIT} of ${url}/report.

See 200 ${DEAR_LIMIT} times, then 429:
  for i in $(seq ${Number(DEAR_LIMIT) + 2}); do curl -s -o /dev/null -w '%{http_code} ' -H 'x-user-id: alice' ${url}/report; done; echo`)

// Answers what has arrived, then leaves.
const stop = async () => {
  await app.close()
  await Promise.all([limiter.close(), dear.close()])
}
process.once('SIGINT', stop)
process.once('SIGTERM', stop)
