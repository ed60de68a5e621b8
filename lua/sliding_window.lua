-- sliding_window.lua: the twin of src/algorithm/sliding_window.rs, which explains the algorithm.
--
-- prepare(limit, window, slot) -> policy. Window and slot in microseconds.
-- step(policy, state, now, cost, least) -> allowed, granted, remaining, retry_after, reset_at, changed, expires
--   state      what GET returned: a string, or false for a key that was never seen
--   cost       units to take, 0 only looks; least: units without which the call is refused
--   changed    the state to write, or nil where nothing was taken and nothing needs repair
--   expires    the expiry to set with it, or nil where the one that is set lasts
--   An unreadable state answers nil.
-- refund(policy, state, now, units), penalize(…) -> changed, expires, of a state that a step can read
--   changed    the state to write, '' for a key that is as good as new, or nil where nothing changes
-- spare(policy, state, now, free, term) -> how many units may be used at any moment of the next `term`: all that are free
-- lease(policy, state, now, units, term), give_back(policy, state, now, units, booked) -> changed, expires, of such a state
-- seen(state) -> when something was last taken, 0 where there is no state
-- counted(policy, state, now) -> the units that are counted now: as many as a refund can give back
--
-- State: '>BI7I5' version, kept (see expiry.lua), total; then for each group, oldest first, '>I7I5' newest, count. Groups have
-- a fixed width, so that a step touches only the ends of the string, however many there are.

local HEADER, GROUP, VERSION = 13, 12, 1

local function prepare(limit, window, slot)
  return { limit = limit, window = window, slot = slot }
end

-- The state after the clock jumped back, until when it is kept, and its expiry: groups ahead of `now` have become one group of the
-- present, merged where the last one before is of the same slot. All groups from `first` on count `total`.
local function mend(policy, state, first, now, total)
  local stop, count = #state, 0
  while stop >= first do
    local newest, units = unpack('>I7I5', state, stop - GROUP + 1)
    if newest <= now then
      if newest >= now - now % policy.slot then
        count, stop = count + units, stop - GROUP
      end
      break
    end
    count = count + units
    stop = stop - GROUP
  end
  local kept, expires = keep(0, now + policy.window, policy.window)
  return pack('>BI7I5', VERSION, kept, total) .. sub(state, first, stop) .. pack('>I7I5', now, count), kept, expires, count
end

-- When enough has been forgotten for `least` units to fit.
local function room_at(policy, state, first, total, least)
  local missing = total + least - policy.limit
  for offset = first, #state, GROUP do
    local newest, count = unpack('>I7I5', state, offset)
    missing = missing - count
    if missing <= 0 then
      return newest + policy.window
    end
  end
end

-- Most of what a batch costs in Lua is the number of operations of a step, so it has the lengths as numbers, and what only a refusal
-- or a look is told is made there.
local function step(policy, state, now, cost, least)
  local window, limit = policy.window, policy.limit
  if not state then
    local granted = cost < limit and cost or limit
    if limit < least then
      return false, 0, limit, window, now
    end
    if granted == 0 then
      return true, 0, limit, 0, now
    end
    local kept, expires = keep(0, now + window, window)
    return true, granted, limit - granted, 0, now + window, pack('>BI7I5I7I5', VERSION, kept, granted, now, granted), expires
  end
  local length = #state
  if length < 25 or length % 12 ~= 1 then
    return nil
  end
  local version, kept, total, newest, last = unpack('>BI7I5I7I5', state)
  if version ~= 1 then
    return nil
  end
  -- Forget groups whose newest member has left the window.
  local first = 14
  while newest + window <= now do
    total = total - last
    first = first + 12
    if first > length then
      newest, last = nil, 0
      break
    end
    newest, last = unpack('>I7I5', state, first)
  end
  if first + 12 <= length then
    newest, last = unpack('>I7I5', state, length - 11)
  end
  -- Damaged: less in all than in a part.
  if total < last then
    return nil
  end

  local repaired, expires
  if newest and newest > now then
    state, kept, expires, last = mend(policy, state, first, now, total)
    first, length, newest, repaired = 14, #state, now, state
  end

  local free = limit - total
  if free < 0 then
    free = 0
  end
  if free < least then
    local at = room_at(policy, state, first, total, least)
    if not at and least <= limit then
      -- Damaged: more in all than in its parts.
      return nil
    end
    return false, 0, free, at and at - now or window, newest and newest + window or now, repaired, expires
  end
  local granted = cost < free and cost or free
  if granted == 0 then
    return true, 0, free, 0, newest and newest + window or now, repaired, expires
  end
  local reset_at = now + window
  if reset_at > kept then
    kept, expires = keep(kept, reset_at, window)
  end
  total = total + granted
  if newest and newest >= now - now % policy.slot then
    -- Of the same slot as the last group, which becomes one of the present.
    last = last + granted
    length = length - 12
  else
    last = granted
  end
  local changed
  if length >= first then
    changed = pack('>BI7I5c0I7I5', VERSION, kept, total, sub(state, first, length), now, last)
  elseif expires then
    changed = pack('>BI7I5I7I5', VERSION, kept, total, now, last)
  else
    -- Version and kept stay, which are the first 8 bytes.
    changed = pack('>c8I5I7I5', state, total, now, last)
  end
  return true, granted, free - granted, 0, reset_at, changed, expires
end

-- What is seldom asked of a key, by its name. A script makes whatever it names anew each time it runs, and most runs only take
-- steps, so these are made when they are asked for.
local function seldom(_, name)
  -- Adds `count` units of the present to a list of groups.
  local function add(policy, groups, now, count)
    local last = groups[#groups]
    if last and last.newest - last.newest % policy.slot == now - now % policy.slot then
      last.newest, last.count = now, last.count + count
    else
      groups[#groups + 1] = { newest = now, count = count }
    end
  end

  -- The state's groups that count now, oldest first; what they count; until when Redis keeps them; and whether some lay in a
  -- future that a jump of the clock had left.
  local function read(policy, state, now)
    local groups, total, kept, ahead = {}, 0, 0, 0
    if state then
      kept = select(2, unpack('>BI7', state))
      for offset = HEADER + 1, #state, GROUP do
        local newest, count = unpack('>I7I5', state, offset)
        if newest > now then
          ahead = ahead + count
        elseif newest + policy.window > now then
          groups[#groups + 1] = { newest = newest, count = count }
          total = total + count
        end
      end
    end
    if ahead > 0 then
      add(policy, groups, now, ahead)
      kept = 0
    end
    return groups, total + ahead, kept, ahead > 0
  end

  -- The state to write, and its expiry where that must be set.
  local function write(policy, groups, total, kept)
    local expires
    kept, expires = keep(kept, groups[#groups].newest + policy.window, policy.window)
    local parts = { pack('>BI7I5', VERSION, kept, total) }
    for i, group in ipairs(groups) do
      parts[i + 1] = pack('>I7I5', group.newest, group.count)
    end
    return table.concat(parts), expires
  end

  local function refund(policy, state, now, units)
    if not state then
      return nil
    end
    local groups, total, kept = read(policy, state, now)
    if units >= total then
      return ''
    end
    total = total - units
    while groups[1].count <= units do
      units = units - table.remove(groups, 1).count
    end
    groups[1].count = groups[1].count - units
    return write(policy, groups, total, kept)
  end

  local function penalize(policy, state, now, units)
    local groups, total, kept, repaired = read(policy, state, now)
    local debt = math.min(units, 2 * policy.limit - total)
    if debt > 0 then
      add(policy, groups, now, debt)
      return write(policy, groups, total + debt, kept)
    end
    if repaired then
      return write(policy, groups, total, kept)
    end
  end

  local function spare(_, _, _, free)
    return free
  end

  local function lease(policy, state, now, units)
    return select(6, step(policy, state, now, units, units))
  end

  -- Out of the newest group of the slot in which the units were leased.
  local function give_back(policy, state, now, units, booked)
    local groups, total, kept, repaired = read(policy, state, now)
    local slot = booked - booked % policy.slot
    for i = #groups, 1, -1 do
      local group = groups[i]
      if group.newest >= booked and group.newest - group.newest % policy.slot == slot then
        local taken = units < group.count and units or group.count
        if taken == total then
          return ''
        end
        group.count = group.count - taken
        if group.count == 0 then
          table.remove(groups, i)
        end
        return write(policy, groups, total - taken, kept)
      end
    end
    if repaired then
      return write(policy, groups, total, kept)
    end
  end

  local function seen(state)
    return state and #state >= HEADER + GROUP and (unpack('>I7', state, #state - GROUP + 1)) or 0
  end

  local function counted(policy, state, now)
    return (select(2, read(policy, state, now)))
  end

  local functions = { refund = refund, penalize = penalize, seen = seen, counted = counted }
  functions.spare, functions.lease, functions.give_back = spare, lease, give_back
  return functions[name]
end

local twin = { prepare = prepare, step = step, __index = seldom }
return setmetatable(twin, twin)
