// What observers can subscribe to by node:diagnostics_channel, without the limiter in hand. Nobody subscribed, nothing is made or sent.
'use strict'

const { channel } = require('node:diagnostics_channel')

/** Each call that is refused: `{ limiter, key, decision }`. */
const denied = channel('distributed-rate-limiter:denied')
/** Each change of a limiter's state: `{ limiter, state, error }`, where `state` is `'up'`, `'down'` or `'closed'`. */
const state = channel('distributed-rate-limiter:state')
/** Each call that is asked of the store, at the moment when it is: `{ limiter, call, key, answer }`, where `answer` is its promise. */
const store = channel('distributed-rate-limiter:store')
/** Each call on which a limit that is tried and those in force disagree: `{ limiter, key, limit, would, decision }`, where `would` is `'deny'` or `'allow'`. */
const shadow = channel('distributed-rate-limiter:shadow')

module.exports = { denied, shadow, state, store }
