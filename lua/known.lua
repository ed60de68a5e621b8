-- known.lua: of a library alone, the policies that calls have named. Nearly all calls name the same.
--
-- recall(named) -> the policies that this text names, if they are known
-- remember(named, policies)

-- Whoever gives each call a limit of its own fills no memory.
local MOST, LONGEST = 64, 1024

local known, count = {}, 0

recall = function(named)
  return known[named]
end

remember = function(named, policies)
  if #named > LONGEST then
    return
  end
  if count == MOST then
    known, count = {}, 0
  end
  known[named], count = policies, count + 1
end
