/** A Fastify application with one route, and a limiter before it or none. */

import fastify from 'fastify'

/** `use(app)` puts the limiter into it. */
export async function serve(use = () => {}) {
  const app = fastify({ forceCloseConnections: true })
  await use(app)
  app.get('/', async () => ({ hello: 'world' }))
  const url = await app.listen({ port: 0, host: '127.0.0.1' })
  return { url: `${url}/`, close: () => app.close() }
}
