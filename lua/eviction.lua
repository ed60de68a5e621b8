-- eviction.lua: whether this Redis may throw keys away, each of which is a limit that is forgotten.
--
-- Returns its `maxmemory-policy` where that takes keys that expire, as all of ours do, and there is a bound on memory; false where
-- nothing is evicted, or a user may not know it.

local info = redis.pcall('INFO', 'memory')
if type(info) ~= 'string' then
  return false
end
local bound = tonumber(info:match('maxmemory:(%d+)'))
local policy = info:match('maxmemory_policy:([%w-]+)')
return bound and bound > 0 and policy ~= 'noeviction' and policy
