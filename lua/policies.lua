-- policies.lua: the policies that a fleet shares. All their parts are one hash that is written at once, so nobody can read a half.
--
-- KEYS[1]  the hash, with the fields `version`, `document`, `sum` and `at`, and the channel on which a new version is told
-- ARGV[1]  '=' and the tag of what the caller has heard: asks what is stored, if that is anything else
--          '+expected,known,sum,document': stores a document, whose SHA-256 in hexadecimal is `sum`, where `expected` is the
--          present version, or is empty. `known` is the latest version of which the caller knows: Redis may have lost it
--
-- Returns a list of strings. The first is the tag of what is stored now, the second 'written' or 'refused' where something was to be
-- stored, and otherwise empty. Then follows what is stored:
--
--   same                                what the tag stands for that was handed in
--   none                                nothing
--   stored, version, document, sum, at  a field that is missing is empty. `at` is when it was stored, in microseconds since the epoch
--   damaged, why                        the key holds something else, or may not be read
--
-- Above this text stands clock.lua.

local key, asked = KEYS[1], ARGV[1]

-- A tag goes along with every question, so what somebody may have put into a field is cut.
local function brief(text)
  return (text or ''):sub(1, 80)
end

local function stored()
  local fields = redis.pcall('HMGET', key, 'version', 'sum', 'at')
  local length = redis.pcall('HSTRLEN', key, 'document')
  local failure = fields.err or (type(length) == 'table' and length.err)
  if failure then
    return { tag = 'damaged ' .. brief(failure), damage = failure }
  end
  local version, sum, at = fields[1], fields[2], fields[3]
  if not version and not sum and not at and length == 0 then
    return { tag = 'none' }
  end
  local tag = table.concat({ brief(version), brief(sum), brief(at), string.format('%d', length) }, ' ')
  return { tag = tag, version = version or '', sum = sum or '', at = at or '' }
end

local function show(found, outcome)
  if found.damage then
    return { found.tag, outcome, 'damaged', found.damage }
  elseif not found.version then
    return { found.tag, outcome, 'none' }
  end
  local document = redis.call('HMGET', key, 'document')[1] or ''
  return { found.tag, outcome, 'stored', found.version, document, found.sum, found.at }
end

local found = stored()
if asked:sub(1, 1) == '=' then
  if asked:sub(2) == found.tag then
    return { found.tag, '', 'same' }
  end
  return show(found, '')
end

local expected, known, sum, start = asked:match('^%+(%d*),(%d+),(%x+),()')
local version = found.version and found.version:match('^%d+$') and tonumber(found.version) or 0
-- What is no such number was written by hand. From 2^53 on there would be no next one.
if version >= 2 ^ 53 - 1 then
  version = 0
end
version = math.max(version, tonumber(known))
if found.damage or (expected ~= '' and tonumber(expected) ~= version) then
  return show(found, 'refused')
end
local text = string.format('%.0f', version + 1)
local fields = { 'version', text, 'document', asked:sub(start), 'sum', sum, 'at', string.format('%.0f', present()) }
redis.call('HSET', key, unpack(fields))
-- Whoever may not publish is heard of at the next question.
redis.pcall('PUBLISH', key, text)
return show(stored(), 'written')
