-- clock.lua: the time of the store, so that no application server's clock matters.
--
-- present()      -> microseconds since the Unix epoch
-- lifetime(span) -> milliseconds for PX that outlive `span` microseconds: one more because of the fraction, and one more
--                   because Redis counts them from a clock whose own fraction it has cut off. A string, since Redis writes large
--                   numbers with an exponent, which PX does not read.

local format = string.format

local function present()
  local time = redis.call('TIME')
  return time[1] * 1000000 + time[2]
end

-- Most keys of a batch live as long as the one before, so the last text is kept.
local latest, latest_text

local function lifetime(span)
  local milliseconds = (span - span % 1000) / 1000 + 2
  if milliseconds ~= latest then
    latest, latest_text = milliseconds, format('%d', milliseconds)
  end
  return latest_text
end
