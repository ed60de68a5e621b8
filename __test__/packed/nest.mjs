// What of Nest the guard needs, on the platform that the environment names: its decorator, its exception, and a filter that sees it.
import 'reflect-metadata'
import { Catch, Controller, Get, HttpException, Module } from '@nestjs/common'
import { NestFactory } from '@nestjs/core'
import { FastifyAdapter } from '@nestjs/platform-fastify'
import { RateLimiter } from 'distributed-rate-limiter'
import { RateLimit, RateLimitGuard } from 'distributed-rate-limiter/nest'

class Greeting {
  hello() {
    return 'hello'
  }
  free() {
    return 'free'
  }
}
const decorate = (name, ...decorators) =>
  Reflect.decorate(decorators, Greeting.prototype, name, Object.getOwnPropertyDescriptor(Greeting.prototype, name))
decorate('hello', Get('/'))
decorate('free', Get('free'), RateLimit(false))
Controller()(Greeting)

class App {}
Module({ controllers: [Greeting] })(App)

class Filter {
  catch(exception, host) {
    const response = host.switchToHttp().getResponse()
    response.status(exception.getStatus()).header('X-Filtered', 'yes').send(exception.getResponse())
  }
}
Catch(HttpException)(Filter)

const isOnFastify = process.env.PLATFORM === 'fastify'
const settings = { logger: ['warn', 'error'] }
const app = isOnFastify
  ? await NestFactory.create(App, new FastifyAdapter(), settings)
  : await NestFactory.create(App, settings)
app.useGlobalGuards(new RateLimitGuard({ limiter: new RateLimiter({ limit: 3, window: '1h' }) }))
app.useGlobalFilters(new Filter())
await app.listen(Number(process.env.PORT), '127.0.0.1')
