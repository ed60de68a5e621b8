/** Tables of what is not accepted, the kind of error that each meets, and what that error must say. */

export const YEARS_10 = 3_650 * 86_400_000
export const GOOD = { limit: 10, window: '1m' }

/** A value of the wrong JavaScript type, or none at all. */
export const kind = { type: TypeError, code: 'ERR_RATE_LIMIT_OPTION' }
/** A value of the right type that is not accepted. */
export const range = { type: RangeError, code: 'ERR_RATE_LIMIT_OPTION' }
export const unknown = { type: TypeError, code: 'ERR_RATE_LIMIT_UNKNOWN_OPTION' }
export const url = { type: TypeError, code: 'ERR_RATE_LIMIT_URL' }
export const badKey = { type: TypeError, code: 'ERR_RATE_LIMIT_KEY' }
export const costKind = { type: TypeError, code: 'ERR_RATE_LIMIT_COST' }
export const costRange = { type: RangeError, code: 'ERR_RATE_LIMIT_COST' }

/** `number` standing alone, so that the 0 of "10 years" does not pass for a 0 that was given. */
export const alone = (number) => new RegExp(`(?<![\\w.,-])${String(number).replace('.', '\\.')}(?!\\w|[.,]\\d)`)

/** What a message says was expected, option by option. Thousands may be grouped. */
export const EXPECTED = {
  limit: /\b1\b.*(4,?294,?967,?296|2\^32)/,
  window: /'1m'|'10s'|10 years|3,?650 days/,
  burst: /\b1\b.*(4,?294,?967,?296|2\^32)/,
  resolution: /\b1\b.*1,?024/,
  prefix: /\b128\b/,
  timeout: /1 m|minute|60,?000|'10s'/,
  maxPending: /1,?048,?576/,
  driver: /'loop'/,
  denyCache: /1 ms.*1 m.*or false/,
  maxMemory: /64 kb.*256 gb.*'64mb'/,
  onStoreError: /'local'.*'allow'.*'deny'.*'throw'/,
  algorithm: /'sliding-window'.*'token-bucket'/,
  redisUrl: /string|redis:\/\/|array/,
  cluster: /leave it out/,
  hashTag: /true, false/,
  tls: /leave it out/,
  clientName: /leave it out/,
  sentinel: /object|name|array/,
  fallback: /object/,
  newKeys: /object|by/,
  shared: /1 to 64 letters/,
  logger: /warn/,
}

/** One row of the table below: the option under test, its value, and what must be said about it. */
const row = (option, value, error, given) => ({ option, value, error, given })

export const OPTION_ROWS = [
  row('limit', 0, range, alone(0)),
  row('limit', -0, range),
  row('limit', -1, range, '-1'),
  row('limit', 1.5, range, alone(1.5)),
  row('limit', NaN, range, 'NaN'),
  row('limit', Infinity, range, 'Infinity'),
  row('limit', -Infinity, range, '-Infinity'),
  row('limit', 2 ** 32 + 1, range, /4,?294,?967,?297/),
  row('limit', Number.MAX_VALUE, range),
  row('limit', '100', kind, '100'),
  row('limit', 100n, kind, /bigint/i),
  row('limit', true, kind, /boolean|true/),
  row('limit', null, kind, 'null'),
  row('limit', [100], kind, 'array'),
  row('limit', new Number(100), kind, 'object'),
  row('limit', undefined, kind, /nothing|undefined|missing/),

  row('window', 0, range, alone(0)),
  row('window', -1, range, '-1'),
  row('window', 0.0001, range, /0\.0001/),
  row('window', NaN, range, 'NaN'),
  row('window', Infinity, range, 'Infinity'),
  row('window', YEARS_10 + 1, range, /315,?360,?000,?001/),
  row('window', 2 ** 53, range),
  row('window', '3651d', range, '3651d'),
  row('window', '99999999999999999999999d', range, '99999999999999999999999d'),
  row('window', '5 parsecs', range, '5 parsecs'),
  row('window', '', range, "''"),
  row('window', '-1s', range, '-1s'),
  row('window', '1.5.2s', range, '1.5.2s'),
  row('window', '0s', range, '0s'),
  row('window', '10', range, "'10'"),
  row('window', 's', range, "'s'"),
  row('window', '10 s', range, '10 s'),
  row('window', ' 10s', range, ' 10s'),
  row('window', '1e3s', range, '1e3s'),
  row('window', '0x10s', range, '0x10s'),
  row('window', '1M', range, '1M'),
  row('window', '١s', range, '١s'),
  row('window', '1s\0', range),
  row('window', 1000n, kind, /bigint/i),
  row('window', { minutes: 1 }, kind, 'object'),
  row('window', null, kind, 'null'),
  row('window', undefined, kind, /nothing|undefined|missing/),

  row('resolution', 0, range, alone(0)),
  row('resolution', 1025, range, /1,?025/),
  row('resolution', 1.5, range, alone(1.5)),
  row('resolution', NaN, range, 'NaN'),
  row('resolution', '32', kind, '32'),

  row('algorithm', 'leaky-buket', range, 'leaky-buket'),
  row('algorithm', '', range, "''"),
  row('algorithm', 'Token-Bucket', range, 'Token-Bucket'),
  row('algorithm', 1, kind, alone(1)),
  row('algorithm', null, kind, 'null'),

  row('prefix', '', range, "''"),
  row('prefix', 'p'.repeat(129), range, 'ppp'),
  row('prefix', 5, kind, alone(5)),
  row('prefix', null, kind, 'null'),

  row('timeout', 0, range, alone(0)),
  row('timeout', 0.5, range, alone(0.5)),
  row('timeout', 60_001, range, /60,?001/),
  row('timeout', '2m', range, '2m'),
  row('timeout', '5 parsecs', range, '5 parsecs'),
  row('timeout', NaN, range, 'NaN'),
  row('timeout', true, kind, /boolean|true/),

  row('maxPending', 0, range, alone(0)),
  row('maxPending', 1.5, range, alone(1.5)),
  row('maxPending', 1_048_577, range, /1,?048,?577/),
  row('maxPending', Infinity, range, 'Infinity'),
  row('maxPending', '5', kind, '5'),
  row('driver', 'Thread', range, 'Thread'),
  row('driver', '', range, /''/),
  row('driver', true, kind, /boolean|true/),

  row('shared', '', range, "''"),
  row('shared', 's'.repeat(65), range, 'sss'),
  row('shared', 'a/b', range, 'a/b'),
  row('shared', '..', range, "'..'"),
  row('shared', '.hidden', range, '.hidden'),
  row('shared', 'a b', range, 'a b'),
  row('shared', 'a\0b', range),
  row('shared', 'é', range, 'é'),
  row('shared', 5, kind, alone(5)),
  row('shared', true, kind, /boolean|true/),
  row('shared', null, kind, 'null'),

  row('denyCache', 0, range, alone(0)),
  row('denyCache', 60_001, range, /60,?001/),
  row('denyCache', '2m', range, '2m'),
  row('denyCache', 'never', range, 'never'),
  row('denyCache', NaN, range, 'NaN'),
  row('denyCache', true, kind, /boolean|true/),
  row('denyCache', null, kind, 'null'),

  row('maxMemory', 0, range, alone(0)),
  row('maxMemory', 65_535, range, /65,?535/),
  row('maxMemory', 65_536.5, range, '65536.5'),
  row('maxMemory', NaN, range, 'NaN'),
  row('maxMemory', 2 ** 38 + 1, range),
  row('maxMemory', '63kb', range, '63kb'),
  row('maxMemory', '257gb', range, '257gb'),
  row('maxMemory', '64MB', range, '64MB'),
  row('maxMemory', '1.5gb', range, '1.5gb'),
  row('maxMemory', '-64mb', range, '-64mb'),
  row('maxMemory', '64 mb', range, '64 mb'),
  row('maxMemory', 'mb', range, "'mb'"),
  row('maxMemory', '65536', range, "'65536'"),
  row('maxMemory', '', range, "''"),
  row('maxMemory', '99999999999999999999gb', range),
  row('maxMemory', '18014398509481985kb', range),
  row('maxMemory', 67_108_864n, kind, /bigint/i),
  row('maxMemory', null, kind, 'null'),

  row('onStoreError', 'nope', range, 'nope'),
  row('onStoreError', 'LOCAL', range, 'LOCAL'),
  row('onStoreError', 5, kind, alone(5)),
  row('onStoreError', () => 'local', kind, 'function'),

  row('fallback', 5, kind, alone(5)),
  row('fallback', 'local', kind, 'local'),
  row('fallback', [], kind, 'array'),
  row('fallback', null, kind, 'null'),

  row('logger', {}, kind),
  row('logger', { warn() {} }, kind),
  row('logger', { error() {} }, kind),
  row('logger', { warn: 'yes', error: 'yes' }, kind),
  row('logger', 5, kind, alone(5)),
  row('logger', null, kind, 'null'),

  row('redisUrl', 5, url, alone(5)),
  row('redisUrl', null, url, 'null'),
  row('redisUrl', {}, url, 'object'),
  row('redisUrl', new URL('redis://localhost:6379'), url, 'object'),
  row('redisUrl', [], kind, /1 to 100/),
  row('redisUrl', ['redis://a', 5], url, 'redisUrl[1]'),
  row('redisUrl', ['redis://a', ['redis://b']], url, 'array'),

  row('newKeys', 5, kind, alone(5)),
  row('newKeys', null, kind, 'null'),
  row('newKeys', [], kind, 'array'),
  row('newKeys', { limit: 1, window: '1m', by: 'ip' }, kind, '`limits`'),

  row('hashTag', '', range, "''"),
  row('hashTag', 1, kind, alone(1)),

  // Without servers there is nothing for these to be about.
  row('cluster', true, kind, 'redisUrl'),
  row('tls', {}, kind, 'redisUrl'),
  row('clientName', 'api', kind, 'redisUrl'),

  row('sentinel', 'redis://sentinel:26379', kind, 'redis://sentinel'),
  row('sentinel', {}, kind, 'sentinel.name'),
  row('sentinel', { name: 'mymaster' }, kind, 'sentinel.urls'),
]

export const MALFORMED_URLS = [
  '',
  'localhost',
  'localhost:6379',
  'not a url',
  'redis://',
  'redis://:6379',
  'redis://local host',
  'redis://localhost:port',
  'redis://localhost:65536',
  'redis://localhost/database',
  'redis://localhost/-1',
  'redis://localhost/1/2',
  'http://localhost:6379',
  'redi://localhost:6379',
  '://localhost',
]

/** Options that do not go together, and options of options. One that its algorithm does not have is as good as unknown. */
/** What `shared` cannot go together with. */
const NOT_SHARED = {
  redisUrl: 'redis://localhost',
  sentinel: { name: 'm', urls: ['redis://localhost'] },
  redisClient: {},
  cacheClient: {},
  cluster: true,
  tls: {},
  clientName: 'me',
  fallback: { limit: 1 },
  onStoreError: 'deny',
  denyCache: '1s',
  maxPending: 5,
  clock: 'timestamps',
}

export const COMBINATIONS = [
  ...Object.entries(NOT_SHARED).map(([option, value]) => ({
    title: `shared and ${option}`,
    options: { shared: 'never-made', [option]: value },
    error: kind,
    says: [`\`${option}${option === 'clock' ? ": 'timestamps'" : ''}\``, 'leave'],
  })),
  { title: 'burst with sliding-window', options: { burst: 5 }, error: kind, says: ['burst', 'token-bucket'] },
  {
    title: 'burst with sliding-window by name',
    options: { algorithm: 'sliding-window', burst: 5 },
    error: kind,
    says: ['burst', 'token-bucket'],
  },
  {
    title: 'resolution with token-bucket',
    options: { algorithm: 'token-bucket', resolution: 32 },
    error: kind,
    says: ['resolution', 'sliding-window'],
  },
  { title: 'a burst of 0', options: { algorithm: 'token-bucket', burst: 0 }, error: range, says: ['burst', alone(0)] },
  {
    title: 'a burst that is a string',
    options: { algorithm: 'token-bucket', burst: '5' },
    error: kind,
    says: ['burst', '5'],
  },
  {
    title: 'a burst above 2^32',
    options: { algorithm: 'token-bucket', burst: 2 ** 32 + 1 },
    error: range,
    says: ['burst', /4,?294,?967,?297/, EXPECTED.burst],
  },
  {
    title: 'a burst that takes more than ten years to fill',
    options: { algorithm: 'token-bucket', limit: 1, window: '3650d', burst: 2 },
    error: range,
    says: ['burst', /10 years|3,?650 d/],
  },
  {
    title: 'the largest burst at the slowest rate, whose microseconds no double can hold',
    options: { algorithm: 'token-bucket', limit: 1, window: '3650d', burst: 2 ** 32 },
    error: range,
    says: ['burst', /10 years|3,?650 d/],
  },
  { title: 'fallback.limit 0', options: { fallback: { limit: 0 } }, error: range, says: ['fallback.limit', alone(0)] },
  {
    title: 'fallback.limit as a string',
    options: { fallback: { limit: '5' } },
    error: kind,
    says: ['fallback.limit', '5'],
  },
  {
    title: 'fallback.window malformed',
    options: { fallback: { window: '5 parsecs' } },
    error: range,
    says: ['fallback.window', '5 parsecs'],
  },
  {
    title: 'fallback.share of another word',
    options: { fallback: { share: 'other' } },
    error: range,
    says: ['fallback.share', 'other', "'fleet'"],
  },
  {
    title: 'fallback.share as a flag',
    options: { fallback: { share: true } },
    error: kind,
    says: ['fallback.share', "'fleet'"],
  },
  {
    title: "an action's fallback.share of another word",
    options: { actions: { upload: { limit: 1, window: 1, fallback: { share: 'other' } } } },
    error: range,
    says: ['actions.upload.fallback.share', 'other'],
  },
  {
    title: 'a misspelt field of fallback',
    options: { fallback: { limti: 5 } },
    error: unknown,
    says: ['fallback', 'limti', /\blimit\b/],
  },
]

/** Names that nobody knows, and the one that was probably meant. */
export const MISSPELT = [
  ['windwo', 'window'],
  ['Window', 'window'],
  ['limt', 'limit'],
  ['redisURL', 'redisUrl'],
  ['redis_url', 'redisUrl'],
  ['onStoreErorr', 'onStoreError'],
  ['algoritm', 'algorithm'],
  ['fallbcak', 'fallback'],
]

export const OPTIONS_THAT_ARE_NONE = [
  ['nothing', undefined],
  ['null', null],
  ['an array', []],
  ['a string', 'redis://localhost'],
  ['a number', 100],
  ['a function', () => GOOD],
]

export const BAD_KEYS = [
  ['an empty string', ''],
  ['undefined', undefined],
  ['null', null],
  ['a number', 5],
  ['NaN', NaN],
  ['a bigint', 5n],
  ['a boolean', true],
  ['an object', {}],
  ['an array', ['a']],
  ['a String object', new String('a')],
  ['a symbol', Symbol('a')],
  ['a function', () => 'a'],
  ['a buffer', Buffer.from('a')],
]

/** For a limit of 10. */
export const BAD_COSTS = [
  [0, costRange, alone(0)],
  [-1, costRange, '-1'],
  [1.5, costRange, alone(1.5)],
  [NaN, costRange, 'NaN'],
  [Infinity, costRange, 'Infinity'],
  [11, costRange, alone(11)],
  [2 ** 53, costRange],
  ['2', costKind, '2'],
  [2n, costKind, /bigint/i],
  [null, costKind, 'null'],
  [true, costKind, /boolean|true/],
  [{}, costKind, 'object'],
]

export const BAD_CALL_OPTIONS = [
  [5, kind, []],
  ['2', kind, []],
  [null, kind, ['null']],
  [[], kind, ['array']],
  [() => ({}), kind, []],
  [{ cots: 2 }, unknown, ['cots', /\bcost\b/]],
  [{ limit: 2 }, kind, ['limit', 'window']],
  [{ window: '1m' }, kind, ['window', 'limit']],
  [{ cost: 1, upTo: 2 }, kind, ['cost', 'upTo']],
]

export const BAD_READY_OPTIONS = [
  [{ timeout: 0 }, range, ['timeout', alone(0)]],
  [{ timeout: NaN }, range, ['timeout', 'NaN']],
  [{ timeout: '5 parsecs' }, range, ['timeout', '5 parsecs']],
  [{ timeout: true }, kind, ['timeout']],
  [{ timeuot: 5 }, unknown, ['timeuot', /\btimeout\b/]],
  [5, kind, []],
  [null, kind, ['null']],
]
