-- levels.lua: at what level each instance of a fleet is, so that all can go by the mean.
--
-- KEYS[1]  the levels, a hash: for each instance '>I7I2', until when its word holds, in microseconds since the epoch, and its level
--          in thousandths; and in the field '' their sum, '>I7I4I7': when all were looked at, how many they were, what they add up to
-- ARGV[1]  '>I7I2' for how many microseconds the word holds, 0 takes the instance's away; its level; then the instance's name
--
-- Returns how many instances have told theirs, and what these add up to. Who takes its own away is told of none.
--
-- To look at all costs the more the more they are, and they speak the more often. So all are looked at once in a sixth of the time for
-- which a word holds, by whoever comes first; in between the sum is what it was, with what this instance changes of it. What was written
-- by hand counts until then at most: a field that cannot be read is dropped.
--
-- Above this text stands clock.lua.

local hash, packed = KEYS[1], ARGV[1]

local span, level, offset = struct.unpack('>I7I2', packed)
local instance = packed:sub(offset)
local now = present()

if span == 0 then
  -- Without a sum the next to speak looks at all.
  redis.call('HDEL', hash, instance, '')
  return { 0, 0 }
end

local function read(format, length, text)
  if text and #text == length then
    return struct.unpack(format, text)
  end
end

-- The level of a word, where it holds. All hold equally long: what holds for longer was said before the clock jumped back.
local function of(text)
  local holds, said = read('>I7I2', 9, text)
  if holds and holds > now and holds <= now + span and said >= 1 and said <= 1000 then
    return said
  end
end

-- All that hold but this instance's. What does not is dropped.
local function look()
  local count, parts = 0, 0
  local fields = redis.call('HGETALL', hash)
  for index = 1, #fields, 2 do
    local name, said = fields[index], of(fields[index + 1])
    if name ~= instance and said then
      count, parts = count + 1, parts + said
    elseif name ~= instance and name ~= '' then
      redis.call('HDEL', hash, name)
    end
  end
  return now, count, parts
end

local known = redis.call('HMGET', hash, instance, '')
local looked_at, count, parts = read('>I7I4I7', 18, known[2])
local _, before = read('>I7I2', 9, known[1])
if not looked_at or looked_at > now or now - looked_at >= span / 6 then
  looked_at, count, parts = look()
elseif before then
  count, parts = count - 1, parts - before
end
count, parts = count + 1, parts + level
local sum = struct.pack('>I7I4I7', looked_at, count, parts)
redis.call('HSET', hash, instance, struct.pack('>I7I2', now + span, level), '', sum)
redis.call('PEXPIRE', hash, lifetime(span))
return { count, parts }
