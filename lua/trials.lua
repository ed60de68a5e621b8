-- trials.lua: decisions some of whose limits are tried: they are asked about a call, and refuse nobody.
--
-- trials(decide, take_all, look_and_take) -> try, of functions in verbs.lua
-- try(before, run, policies, roles, cost, least, time, values) decides `run` requests, the keys of which stand one after the other
--   behind `before`, one for each policy. Answers are added to `answers`.
--   roles    of each policy: 0 in force; 1 a shadow, which is asked for what those in force have granted, and only looked at where
--            they refuse; 2 a candidate, which is asked for what the call asks; 3 one that can never hold so much, and is looked at.
--            Those in force come first.
--   values   what each key holds, where the engine has read that
--
-- A key of those in force that fails has all of them fail; one that is tried fails alone.

local function trials(decide, take_all, look_and_take)
  local SHADOW, BEYOND = 1, 3

  return function(before, run, policies, roles, cost, least, time, values)
    local parts, in_force = #policies, {}
    while roles[#in_force + 1] == 0 do
      in_force[#in_force + 1] = policies[#in_force + 1]
    end
    local may_take = time == 0 and cost == least and cost > 0
    for first = before, before + (run - 1) * parts, parts do
      local taken = cost
      if #in_force > 0 then
        local is_done = may_take and take_all(first, in_force, cost, values)
        if is_done then
          taken = is_done == true and cost or 0
        else
          taken = look_and_take(first, in_force, cost, least, time, nil, values)
        end
      end
      for j = #in_force + 1, parts do
        local i, units, needed = first + j, cost, least
        if roles[j] == SHADOW then
          units = taken
        elseif roles[j] == BEYOND then
          units, needed = 0, 1
        end
        answers[i] = decide(i, policies[j], units, needed, time, values and values[i])
      end
    end
  end
end
