-- clock.lua: the time of the store, so that no application server's clock matters.
--
-- present()      -> microseconds since the Unix epoch
-- lifetime(span) -> milliseconds for PX that outlive `span` microseconds: rounded up, and one more because Redis counts
--                   them from a clock whose fraction of a millisecond it has cut off. A string, since Redis writes large
--                   numbers with an exponent, which PX does not read.

local function present()
  local time = redis.call('TIME')
  return time[1] * 1000000 + time[2]
end

local function lifetime(span)
  return string.format('%d', math.ceil(span / 1000) + 1)
end
