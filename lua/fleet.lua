-- fleet.lua: which instances share this Redis, so that each knows its share of a limit when Redis is away.
--
-- KEYS[1]  the list of the instances, a sorted set: the score is when the announcement ends, in microseconds since the epoch
-- ARGV[1]  '>I7' for how many microseconds the announcement holds, 0 takes the instance off the list; then the instance's name
--
-- Returns how many instances are on the list now.
--
-- Above this text stands clock.lua.

local list, packed = KEYS[1], ARGV[1]

local span, offset = struct.unpack('>I7', packed)
local instance = packed:sub(offset)
local now = present()
local text = function(moment)
  return string.format('%.0f', moment)
end

redis.call('ZADD', list, text(now + span), instance)
redis.call('ZREMRANGEBYSCORE', list, '-inf', text(now))
if span > 0 then
  -- All announcements hold equally long: what ends later was made before the clock jumped back, and might never end.
  redis.call('ZREMRANGEBYSCORE', list, '(' .. text(now + span), '+inf')
  redis.call('PEXPIRE', list, lifetime(span))
end
return redis.call('ZCARD', list)
