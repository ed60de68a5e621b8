// By which the middleware asks a limiter under which of its `actions` a call falls. Registered, since a process may have this package twice.
'use strict'

const ROUTE_OF = Symbol.for('distributed-rate-limiter.routeOf')

module.exports = { ROUTE_OF }
