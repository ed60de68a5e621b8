-- fixed_window.lua: the twin of src/algorithm/fixed_window.rs, which explains the algorithm.
--
-- prepare(limit, window, align) -> policy. Window in microseconds; align is 1 where windows begin at its multiples, else 0.
-- step(policy, state, now, cost, least) -> allowed, granted, remaining, retry_after, reset_at, changed, expires
--   state      what GET returned: a string, or false for a key that was never seen
--   cost       units to take, 0 only looks; least: units without which the call is refused
--   changed    the state to write, or nil where nothing was taken and nothing needs repair
--   expires    the expiry to set with it, or nil where the one that is set lasts
--   An unreadable state answers nil.
-- refund(policy, state, now, units), penalize(…) -> changed, expires, of a state that a step can read
--   changed    the state to write, '' for a key that is as good as new, or nil where nothing changes
-- seen(state) -> when the window began in which something was last taken, 0 where there is no state
-- counted(policy, state, now) -> the units that are counted now: as many as a refund can give back
--
-- State: '>BI7I7I5' version, kept (see expiry.lua), the window's start, the units counted in it.

local LENGTH, VERSION = 20, 1

local function prepare(limit, window, align)
  return { limit = limit, window = window, align = align == 1 }
end

local function begin(policy, now)
  return policy.align and now - now % policy.window or now
end

-- The window's start and count as they stand now, until when the value is kept, whether the clock had jumped back, and the
-- window's end. Nil for what cannot be read.
local function present(policy, state, now)
  local window = policy.window
  if not state then
    local start = begin(policy, now)
    return start, 0, 0, false, start + window
  end
  local version, kept, start, count
  if #state == LENGTH then
    version, kept, start, count = unpack('>BI7I7I5', state)
  end
  if version ~= VERSION then
    return nil
  end
  local repaired = false
  if count == 0 or start + window <= now then
    start, count = begin(policy, now), 0
  elseif start > now then
    start, kept, repaired = begin(policy, now), 0, true
  end
  return start, count, kept, repaired, start + window
end

-- The state that is to be written, and its expiry. Where nothing is counted there is none.
local function write(kept, start, count, finish)
  if count == 0 then
    return '', nil
  end
  local expires
  kept, expires = keep(kept, finish, finish - start)
  return pack('>BI7I7I5', VERSION, kept, start, count), expires
end

local function step(policy, state, now, cost, least)
  local start, count, kept, repaired, reset_at = present(policy, state, now)
  if not start then
    return nil
  end
  local free = policy.limit - count
  if free < 0 then
    free = 0
  end
  local allowed, granted, retry_after = true, cost < free and cost or free, 0
  if free < least then
    allowed, granted, retry_after = false, 0, reset_at - now
  end
  if granted == 0 and not repaired then
    return allowed, 0, free, retry_after, count > 0 and reset_at or now, nil
  end
  return allowed, granted, free - granted, retry_after, reset_at, write(kept, start, count + granted, reset_at)
end

-- What is seldom asked of a key, by its name. A script makes whatever it names anew each time it runs, and most runs only take
-- steps, so these are made when they are asked for. They are calendar.lua's as well, which brings a `present` of its own.
local function seldom(twin, name)
  local present = rawget(twin, 'present') or present

  local function refund(policy, state, now, units)
    if not state then
      return nil
    end
    local start, count, kept, _, finish = present(policy, state, now)
    return write(kept, start, units < count and count - units or 0, finish)
  end

  local function penalize(policy, state, now, units)
    local start, count, kept, repaired, finish = present(policy, state, now)
    local most = policy.limit * 2
    if count >= most then
      units = 0
    elseif units > most - count then
      units = most - count
    end
    if units == 0 and not repaired then
      return nil
    end
    return write(kept, start, count + units, finish)
  end

  local function seen(state)
    return state and #state == LENGTH and select(3, unpack('>BI7I7', state)) or 0
  end

  local function counted(policy, state, now)
    return (select(2, present(policy, state, now)))
  end

  return ({ refund = refund, penalize = penalize, seen = seen, counted = counted })[name]
end

local twin = { prepare = prepare, step = step, __index = seldom }
return setmetatable(twin, twin)
