/** Tables of what is not accepted of several limits, of limits that differ, and of what a call may say beside its cost. */

import { GOOD, YEARS_10, alone, costKind, costRange, kind, range, unknown } from './bad-input.mjs'

const named = (name, more) => ({ ...GOOD, name, ...more })
const list = (count) => Array.from({ length: count }, (_, index) => named(`n${index}`))
/** A limit by user, with a limit on new keys that is good but for what is said, and with whatever else. */
const byUser = named('user', { by: 'user' })
const guarded = (newKeys, more) => ({ limits: [byUser], newKeys: { ...GOOD, by: 'ip', ...newKeys }, ...more })
const cacheClient = {
  get: async () => 0,
  set: async () => {},
  incrementAndGet: async () => 1,
  decrementAndGet: async () => 0,
}
const unsupported = { type: Error, code: 'ERR_RATE_LIMIT_UNSUPPORTED' }
const client = { evalsha: async () => [], eval: async () => [] }
const redisUrl = 'redis://localhost:6379'

/** The options of a limiter, the error that they meet, and what it must say. */
export const BAD_LIMITS = [
  ['equal names', { limits: [named('a'), named('b'), named('a')] }, kind, ['limits[2].name', "'a'"]],
  ['a missing name', { limits: [GOOD] }, kind, ['limits[0].name', 'nothing', '64']],
  ['an empty name', { limits: [named('')] }, range, ['limits[0].name', "''"]],
  ['a name with a space', { limits: [named('a b')] }, range, ['limits[0].name', 'a b']],
  ['a name with a colon', { limits: [named('a:b')] }, range, ['limits[0].name', 'a:b']],
  ['a name that is too long', { limits: [named('a'.repeat(65))] }, range, ['limits[0].name', '64']],
  ['a name that is a number', { limits: [named(5)] }, kind, ['limits[0].name', alone(5)]],
  ['`by` on some only', { limits: [named('a', { by: 'user' }), named('b')] }, kind, ['limits[1].by', "'global'"]],
  ['`by` on some only, global', { limits: [named('a'), named('b', { by: 'global' })] }, kind, ['limits[0].by']],
  ['an empty `by`', { limits: [named('a', { by: '' })] }, range, ['limits[0].by', "''"]],
  ['a `by` that is a number', { limits: [named('a', { by: 5 })] }, kind, ['limits[0].by', alone(5)]],
  ['no limits', { limits: [] }, range, ['limits', /\b1 to 16\b/]],
  ['17 limits', { limits: list(17) }, range, ['limits', /\b1 to 16\b/]],
  ['limits that are a number', { limits: 5 }, kind, ['limits', alone(5), 'array']],
  ['limits that are an object', { limits: { a: GOOD } }, kind, ['limits', 'object', 'array']],
  ['limits that are null', { limits: null }, kind, ['limits', 'null']],
  ['one that is a number', { limits: [named('a'), 5] }, kind, ['limits[1]', alone(5)]],
  ['one that is missing', { limits: [, named('a')] }, kind, ['limits[0]', 'nothing']],
  ['one that is an array', { limits: [[]] }, kind, ['limits[0]', 'array']],
  ['a limit of 0 among them', { limits: [named('a'), named('b', { limit: 0 })] }, range, ['limits[1].limit', alone(0)]],
  ['a bad window among them', { limits: [named('a', { window: '5 m' })] }, range, ['limits[0].window', '5 m']],
  [
    'a bad fallback among them',
    { limits: [named('a', { fallback: { limit: 0 } })] },
    range,
    ['limits[0].fallback.limit'],
  ],
  ['a misspelt option', { limits: [named('a', { windwo: 1 })] }, unknown, ['limits[0]', 'windwo', /\bwindow\b/]],
  ['an option of the limiter', { limits: [named('a', { prefix: 'p' })] }, unknown, ['limits[0]', 'prefix']],
  ...['limit', 'window', 'burst', 'fallback'].map((option) => [
    `limits with ${option}`,
    { limits: [named('a')], [option]: { limit: 5, window: '1m', burst: 5, fallback: {} }[option] },
    kind,
    [`\`${option}\``, '`limits`'],
  ]),
  ["limits with limit: 'configured'", { limits: [named('a')], limit: 'configured' }, kind, ['`limit`', '`limits`']],
  ['a name without limits', named('a'), unknown, ['name']],
  ['`by` without limits', { ...GOOD, by: 'user' }, unknown, ['`by`']],

  ['a limit called newKeys', { limits: [named('newKeys')] }, kind, ['limits[0].name', "'newKeys'", 'another name']],
  ['newKeys without by', guarded({ by: undefined }), kind, ['newKeys.by', 'nothing', "'ip'"]],
  ['newKeys with an empty by', guarded({ by: '' }), range, ['newKeys.by', "''"]],
  ['newKeys by a number', guarded({ by: 5 }), kind, ['newKeys.by', alone(5)]],
  ['newKeys without a limit', guarded({ limit: undefined }), kind, ['newKeys.limit', 'nothing']],
  ['newKeys of 0', guarded({ limit: 0 }), range, ['newKeys.limit', alone(0)]],
  ['newKeys in a bad window', guarded({ window: '5 m' }), range, ['newKeys.window', '5 m']],
  ['newKeys by a bad algorithm', guarded({ algorithm: 'nope' }), range, ['newKeys.algorithm', 'nope']],
  ['newKeys with a bad burst', guarded({ burst: 5 }), kind, ['newKeys.burst', alone(5)]],
  ['newKeys with a bad fallback', guarded({ fallback: { limit: 0 } }), range, ['newKeys.fallback.limit', alone(0)]],
  ['newKeys with a bad share', guarded({ fallback: { share: 'all' } }), range, ['newKeys.fallback.share', 'all']],
  ['newKeys, misspelt', guarded({ limti: 5 }), unknown, ['`newKeys`', 'limti', /\blimit\b/]],
  ['newKeys with a name', guarded({ name: 'mine' }), unknown, ['`newKeys`', '`name`']],
  [
    'newKeys of limits by the whole key',
    guarded({}, { limits: [named('a')] }),
    kind,
    ['`newKeys`', '`limits`', '`by`'],
  ],
  ["newKeys with limit: 'configured'", { limit: 'configured', newKeys: { ...GOOD, by: 'ip' } }, kind, ['`newKeys`']],
  [
    'newKeys, an action without by',
    guarded({}, { actions: { login: GOOD } }),
    kind,
    ['`actions.login.by`', '`newKeys`'],
  ],
  [
    'newKeys by what all limits count by',
    guarded({ by: 'user' }, { actions: { login: { ...GOOD, by: 'global' } } }),
    kind,
    ['newKeys.by', "'user'", '`by`'],
  ],
  ['newKeys on a cache', guarded({}, { cacheClient }), unsupported, ['`newKeys`', 'cacheClient']],

  ['a misspelt configured', { limit: 'cofigured' }, kind, ['limit', 'cofigured']],
  ...['window', 'burst', 'fallback'].map((option) => [
    `limit: 'configured' with ${option}`,
    { limit: 'configured', [option]: { window: '1m', burst: 5, fallback: {} }[option] },
    kind,
    [`\`${option}\``, "'configured'"],
  ]),
  ["limit: 'configured', a bad algorithm", { limit: 'configured', algorithm: 'nope' }, range, ['algorithm', 'nope']],

  ['actions that are a number', { ...GOOD, actions: 5 }, kind, ['actions', alone(5)]],
  ['actions that are an array', { ...GOOD, actions: [] }, kind, ['actions', 'array']],
  ['an action without a limit', { ...GOOD, actions: { login: {} } }, kind, ['actions.login.limit', 'nothing']],
  ['an action that is null', { ...GOOD, actions: { login: null } }, kind, ['actions.login', 'null']],
  ['an action of 0', { ...GOOD, actions: { login: { ...GOOD, limit: 0 } } }, range, ['actions.login.limit', alone(0)]],
  ['an action without a name', { ...GOOD, actions: { '': GOOD } }, range, ['actions', "''"]],
  ['an action whose name is too long', { ...GOOD, actions: { ['a'.repeat(129)]: GOOD } }, range, ['actions', '128']],
  ['an action by a number', { ...GOOD, actions: { login: { ...GOOD, by: 5 } } }, kind, ['actions.login.by', alone(5)]],
  [
    'an action, misspelt',
    { ...GOOD, actions: { login: { limti: 5 } } },
    unknown,
    ['actions.login', 'limti', /\blimit\b/],
  ],

  ...['sliding-window', 'sliding-counter', 'fixed-window'].flatMap((algorithm) =>
    [
      [5, kind, ['burst', alone(5), 'extra']],
      ['5', kind, ['burst', "'5'", 'extra']],
      [null, kind, ['burst', 'null']],
      [[], kind, ['burst', 'array']],
      [{}, kind, ['burst.extra', 'nothing']],
      [{ extra: 5 }, kind, ['burst.window', 'nothing']],
      [{ extra: 0, window: '1s' }, range, ['burst.extra', alone(0)]],
      [{ extra: 1.5, window: '1s' }, range, ['burst.extra', alone(1.5)]],
      [{ extra: 2 ** 32, window: '1s' }, range, ['burst.extra', /4,?294,?967,?296/]],
      [{ extra: 5, window: 0 }, range, ['burst.window', alone(0)]],
      [{ extra: 5, window: YEARS_10 + 1 }, range, ['burst.window']],
      [{ extra: 5, widnow: '1s' }, unknown, ['burst', 'widnow', /\bwindow\b/]],
    ].map(([burst, ...rest]) => [
      `${algorithm}, a burst of ${JSON.stringify(burst)}`,
      { ...GOOD, algorithm, burst },
      ...rest,
    ]),
  ),
  ...['token-bucket', 'leaky-bucket'].flatMap((algorithm) =>
    [
      [{ extra: 5, window: '1s' }, kind, ['burst', 'object']],
      [-1, range, ['burst', '-1']],
      [1.5, range, ['burst', alone(1.5)]],
      [2 ** 32 + 1, range, ['burst', /4,?294,?967,?297/]],
      [true, kind, ['burst', /boolean|true/]],
    ].map(([burst, ...rest]) => [
      `${algorithm}, a burst of ${JSON.stringify(burst)}`,
      { ...GOOD, algorithm, burst },
      ...rest,
    ]),
  ),
  ['a leaky bucket of 2^32', { ...GOOD, algorithm: 'leaky-bucket', burst: 2 ** 32 }, range, ['burst']],

  ...['sliding-window', 'sliding-counter', 'token-bucket', 'leaky-bucket'].map((algorithm) => [
    `align with ${algorithm}`,
    { ...GOOD, algorithm, align: true },
    kind,
    ['align', 'fixed-window'],
  ]),
  ...['sliding-counter', 'fixed-window', 'token-bucket', 'leaky-bucket'].map((algorithm) => [
    `resolution with ${algorithm}`,
    { ...GOOD, algorithm, resolution: 32 },
    kind,
    ['resolution', 'sliding-window'],
  ]),
  ['align: 1', { ...GOOD, algorithm: 'fixed-window', align: 1 }, kind, ['align', alone(1)]],
  ["align: 'yes'", { ...GOOD, algorithm: 'fixed-window', align: 'yes' }, kind, ['align', 'yes']],

  ["clock: 'wall'", { ...GOOD, clock: 'wall' }, range, ['clock', 'wall', "'store'", "'timestamps'"]],
  ['clock: 5', { ...GOOD, clock: 5 }, kind, ['clock', alone(5)]],
  ['clock: null', { ...GOOD, clock: null }, kind, ['clock', 'null']],
  ["clock: 'timestamps' with redisUrl", { ...GOOD, clock: 'timestamps', redisUrl }, kind, ['clock', 'redisUrl']],
  [
    "clock: 'timestamps' with redisClient",
    { ...GOOD, clock: 'timestamps', redisClient: client },
    kind,
    ['clock', 'redisClient'],
  ],

  ['redisUrl and redisClient', { ...GOOD, redisUrl, redisClient: client }, kind, ['`redisUrl`', '`redisClient`']],
  ...[
    ['an object', {}],
    ['a map', new Map()],
    ['half of one', { eval: client.eval }],
    ['one with no methods', { evalsha: 'yes', eval: 'yes' }],
    ['an array', []],
    ['a function', () => client],
    ['null', null],
    ['a URL', redisUrl],
    ['a number', 5],
  ].map(([title, redisClient]) => [
    `a redisClient that is ${title}`,
    { ...GOOD, redisClient },
    kind,
    ['redisClient', 'ioredis', 'evalsha'],
  ]),
]

/** Options of a call under a limit of 10. */
export const BAD_CALLS = [
  ...[
    [0, costRange, alone(0)],
    [11, costRange, alone(11)],
    [1.5, costRange, alone(1.5)],
    [NaN, costRange, 'NaN'],
    ['2', costKind, '2'],
    [null, costKind, 'null'],
  ].map(([upTo, error, given]) => [{ upTo }, error, ['upTo', /\b1\b.*\b10\b/, given]]),
  [{ cost: 1, upTo: 2 }, kind, ['cost', 'upTo']],
  ...[
    [NaN, range, 'NaN'],
    [-1, range, '-1'],
    [Infinity, range, 'Infinity'],
    [1e13, range, '10000000000000'],
    ['2026-01-01', kind, '2026-01-01'],
    [new Date(0), kind, 'object'],
    [null, kind, 'null'],
    [5n, kind, 'bigint'],
  ].map(([timestamp, error, given]) => [{ timestamp }, error, ['timestamp', '1970', given]]),
  ...[
    ['', range, "''"],
    ['a'.repeat(129), range, 'aaa'],
    [5, kind, alone(5)],
    [null, kind, 'null'],
    [{}, kind, 'object'],
  ].map(([action, error, given]) => [{ action }, error, ['action', '128', given]]),
  [{ limit: 5 }, kind, ['`limit`', 'window']],
  [{ window: '1m' }, kind, ['`window`', 'limit']],
  [{ limit: 0, window: '1m' }, range, ['limit', alone(0)]],
  [{ limit: '5', window: '1m' }, kind, ['limit', '5']],
  [{ limit: 5, window: '5 parsecs' }, range, ['window', '5 parsecs']],
  [{ limit: 5, window: '1m', cost: 6 }, costRange, ['cost', /\b1\b.*\b5\b/, alone(6)]],
  [{ actoin: 'a' }, unknown, ['actoin', /\baction\b/]],
]

/** Lengths of a block. */
export const BAD_DURATIONS = [
  [0, range, alone(0)],
  [-1, range, '-1'],
  [NaN, range, 'NaN'],
  [Infinity, range, 'Infinity'],
  ['0s', range, '0s'],
  ['5 parsecs', range, '5 parsecs'],
  ['3651d', range, '3651d'],
  [undefined, kind, 'nothing'],
  [null, kind, 'null'],
  [5n, kind, 'bigint'],
  [{}, kind, 'object'],
]

/** What `configure` is handed as a limit. */
export const BAD_OWN_LIMITS = [
  [undefined, kind, ['limit', 'nothing', 'null']],
  [5, kind, ['limit', alone(5)]],
  ['5', kind, ['limit', '5']],
  [[], kind, ['limit', 'array']],
  [{}, kind, ['limit', 'nothing']],
  [{ limit: 5 }, kind, ['window', 'nothing']],
  [{ window: '1m' }, kind, ['limit', 'nothing']],
  [{ limit: 0, window: '1m' }, range, ['limit', alone(0)]],
  [{ limit: 5, window: '5 parsecs' }, range, ['window', '5 parsecs']],
  [{ limit: 5, window: '1m', burst: 5 }, unknown, ['configure', 'burst']],
]
