-- token_bucket.lua: the twin of src/algorithm/token_bucket.rs, which explains the algorithm.
--
-- prepare(limit, window, burst) -> policy. Window in microseconds.
-- step(policy, state, now, cost, least) -> allowed, granted, remaining, retry_after, reset_at, changed, expires
--   state      what GET returned: a string, or false for a key that was never seen
--   cost       units to take, 0 only looks; least: units without which the call is refused
--   changed    the state to write, or nil where nothing was taken and nothing needs repair
--   expires    the expiry to set with it, or nil where the one that is set lasts
--   An unreadable state answers nil.
-- refund(policy, state, now, units), penalize(…), reserve(…) -> changed, expires, of a state that a step can read
--   changed    the state to write, '' for a key that is as good as new, or nil where nothing changes
-- spare(policy, state, now, free, term) -> how many units may be used at any moment of the next `term`, of such a state or none
-- lease(policy, state, now, units, term), give_back(policy, state, now, units, booked) -> changed, expires
-- seen(state) -> when it was last changed, 0 where there is none
-- full_at(policy, state, now) -> when it will be full, of a state that a step can read; the leaky bucket's next turn
--
-- State: '>BI7I7I7I5' version, kept (see expiry.lua), when it was last changed, theoretical arrival time as whole microseconds
-- and a remainder over `limit`.
--
-- A Lua number is exact below 2^53, and products of a cost and a window are not always. Where one might not be, it is made
-- of two halves; elsewhere of one multiplication. `a % b` divides first, but below 2^53 the quotient of whole numbers never
-- rounds up to the next one, so the remainder is exact (and a call of math.fmod would cost as much as ten additions).

local SIZE, VERSION = 27, 1
local EXACT = 9007199254740992 -- 2^53
local HALF = 65536

-- The first whole microsecond that is not earlier.
local function up(whole, rest)
  return rest > 0 and whole + 1 or whole
end

-- Spans in two parts, which are exact for any policy. Most steps do without, so these are made when they are asked for.
local made

local function exact()
  if made then
    return made
  end
  -- a * b / divisor as whole part and remainder, for a, b and divisor up to 2^32 and b < divisor.
  local function muldiv(a, b, divisor)
    local product = a * b
    if product < EXACT then
      local rest = product % divisor
      return (product - rest) / divisor, rest
    end
    local low = a % HALF
    local high = (a - low) / HALF * b
    local carried = high % divisor
    local sum = carried * HALF + low * b
    local rest = sum % divisor
    return (high - carried) / divisor * HALF + (sum - rest) / divisor, rest
  end

  -- How long `count` units take to come back: count * window / limit.
  local function span(policy, count)
    if count == 1 then
      return policy.unit_whole, policy.unit_rest
    end
    local whole, rest = muldiv(count, policy.unit_rest, policy.limit)
    return count * policy.unit_whole + whole, rest
  end

  -- How long an empty bucket takes to be full.
  local function fill(policy)
    if not policy.fill_whole then
      policy.fill_whole, policy.fill_rest = span(policy, policy.burst)
    end
    return policy.fill_whole, policy.fill_rest
  end

  -- How many whole units come back within a span.
  local function units(policy, whole, rest)
    local scaled = whole * policy.limit + rest
    if scaled < EXACT then
      return (scaled - scaled % policy.window) / policy.window
    end
    -- The quotient of rounded numbers is off by at most one unit: settle it by exact spans.
    local count = math.floor(scaled / policy.window) + 1
    repeat
      local needed, needed_rest = span(policy, count)
      local fits = needed < whole or (needed == whole and needed_rest <= rest)
      if not fits then
        count = count - 1
      end
    until fits
    return count
  end

  local function plus(policy, whole, rest, other, other_rest)
    rest = rest + other_rest
    if rest >= policy.limit then
      return whole + other + 1, rest - policy.limit
    end
    return whole + other, rest
  end

  local function minus(policy, whole, rest, other, other_rest)
    if rest < other_rest then
      return whole - other - 1, rest + policy.limit - other_rest
    end
    return whole - other, rest - other_rest
  end

  -- The decision for any policy. Answers allowed, granted, free, retry_after, and the new theoretical arrival time.
  local function decide(policy, now, tat, tat_rest, cost, least)
    local empty, empty_rest = fill(policy)
    empty = now + empty
    local free = 0
    if tat < empty or (tat == empty and tat_rest < empty_rest) then
      free = units(policy, minus(policy, empty, empty_rest, tat, tat_rest))
    end
    if free < least then
      local needed, needed_rest = plus(policy, tat, tat_rest, span(policy, least))
      return false, 0, free, up(minus(policy, needed, needed_rest, empty, empty_rest)), tat, tat_rest
    end
    local granted = cost < free and cost or free
    return true, granted, free, 0, plus(policy, tat, tat_rest, span(policy, granted))
  end

  made = { span = span, fill = fill, units = units, plus = plus, minus = minus, decide = decide }
  return made
end

-- Most of what a batch costs in Lua is the number of operations of a step: so lengths and bounds stand in it as numbers.
local function step(policy, state, now, cost, least)
  local limit, kept, tat, tat_rest, jumped = policy.limit, 0, now, 0, false
  if state then
    if #state ~= 27 then
      return nil
    end
    local version, till, seen, whole, rest = unpack('>BI7I7I7I5', state)
    if version ~= 1 or whole >= 9007199254740992 then
      return nil
    end
    kept = till
    if rest >= limit then
      -- Written under another limit: rounding up by less than a microsecond grants nothing.
      whole, rest = whole + 1, 0
    end
    if now < seen then
      -- The clock jumped back: all waits stay as long as they were.
      kept, whole, jumped = 0, whole - (seen - now), true
    end
    if whole >= now then
      tat = whole
      tat_rest = rest
    end
  end

  local allowed, granted, free, retry_after
  local scale = policy.scale
  if scale == 1 or (scale and tat_rest % scale == 0) then
    -- Every span can be counted in microseconds over `share`, which nearly all policies allow: `missing` is what the bucket lacks,
    -- so it holds burst - ceil(missing / unit) units.
    local share, unit = policy.share, policy.unit
    local missing = (tat - now) * share + tat_rest / scale
    local part = missing % unit
    free = policy.burst - (missing - part) / unit
    if part > 0 then
      free = free - 1
    end
    if free >= least then
      allowed = true
      granted = cost < free and cost or free
      retry_after = 0
      missing = missing + granted * unit
      local rest = missing % share
      tat = now + (missing - rest) / share
      tat_rest = rest * scale
    elseif free >= 0 then
      -- In this order each difference stays below 2^53.
      local wait = missing - (policy.full - least * unit)
      local rest = wait % share
      allowed, granted, retry_after = false, 0, up((wait - rest) / share, rest)
    end
  end
  if allowed == nil then
    -- In debt or booked ahead it may lack more than can be counted so.
    allowed, granted, free, retry_after, tat, tat_rest = exact().decide(policy, now, tat, tat_rest, cost, least)
  end
  local reset_at = tat_rest > 0 and tat + 1 or tat
  if granted == 0 and not jumped then
    return allowed, 0, free, retry_after, reset_at, nil
  end
  local changed, expires
  if reset_at > kept then
    kept, expires = keep(kept, reset_at, policy.window)
    changed = pack('>BI7I7I7I5', VERSION, kept, now, tat, tat_rest)
  else
    -- Version and kept stay, which are the first 8 bytes.
    changed = pack('>c8I7I7I5', state, now, tat, tat_rest)
  end
  return allowed, granted, free - granted, retry_after, reset_at, changed, expires
end

local function prepare(limit, window, burst)
  local unit_rest = window % limit
  -- A unit is window / limit, in lowest terms where it would not do otherwise.
  local scale = 1
  if burst * window >= EXACT then
    local rest = unit_rest
    scale = limit
    while rest > 0 do
      scale, rest = rest, scale % rest
    end
  end
  local full = burst * (window / scale)
  return {
    limit = limit,
    window = window,
    burst = burst,
    unit_whole = (window - unit_rest) / limit,
    unit_rest = unit_rest,
    -- Nil where even so what an empty bucket lacks cannot be counted exactly.
    scale = full < EXACT and scale or nil,
    share = limit / scale,
    unit = window / scale,
    -- What an empty bucket lacks.
    full = full,
  }
end

-- What is seldom asked of a key, by its name. A script makes whatever it names anew each time it runs, and most runs only take
-- steps, so these are made when they are asked for.
local function seldom(_, name)
  local parts = exact()
  local span, plus, minus = parts.span, parts.plus, parts.minus

  -- Whether one moment, or length, is earlier than another.
  local function less(whole, rest, other, other_rest)
    return whole < other or (whole == other and rest < other_rest)
  end

  -- What the state means now, as a step reads it: until when Redis keeps it, the theoretical arrival time, and whether the
  -- clock has jumped back since it was written. The step reads in place, since a call would be a tenth of its work.
  local function read(policy, state, now)
    if not state then
      return 0, now, 0, false
    end
    local _, kept, seen, whole, rest = unpack('>BI7I7I7I5', state)
    if rest >= policy.limit then
      whole, rest = whole + 1, 0
    end
    local jumped = now < seen
    if jumped then
      kept, whole = 0, whole - (seen - now)
    end
    if whole < now then
      whole, rest = now, 0
    end
    return kept, whole, rest, jumped
  end

  -- The state to write, and its expiry where that must be set.
  local function write(policy, kept, now, tat, tat_rest)
    local expires
    kept, expires = keep(kept, up(tat, tat_rest), policy.window)
    return pack('>BI7I7I7I5', VERSION, kept, now, tat, tat_rest), expires
  end

  local function refund(policy, state, now, units)
    if not state then
      return nil
    end
    local kept, tat, tat_rest = read(policy, state, now)
    local given, given_rest = span(policy, units)
    if not less(given, given_rest, minus(policy, tat, tat_rest, now, 0)) then
      return ''
    end
    return write(policy, kept, now, minus(policy, tat, tat_rest, given, given_rest))
  end

  local function penalize(policy, state, now, units)
    local kept, tat, tat_rest, jumped = read(policy, state, now)
    local whole, rest = parts.fill(policy)
    local most, most_rest = plus(policy, now + whole, rest, whole, rest)
    local owed, owed_rest = plus(policy, tat, tat_rest, span(policy, units))
    if less(most, most_rest, owed, owed_rest) then
      owed, owed_rest = most, most_rest
    end
    if less(tat, tat_rest, owed, owed_rest) then
      return write(policy, kept, now, owed, owed_rest)
    end
    if jumped then
      return write(policy, kept, now, tat, tat_rest)
    end
  end

  local function reserve(policy, state, now, units)
    local kept, tat, tat_rest = read(policy, state, now)
    return write(policy, kept, now, plus(policy, tat, tat_rest, span(policy, units)))
  end

  -- From where on units are booked that may be used at any moment of the term, and until when Redis keeps the state now.
  local function booked_from(policy, state, now, term)
    local kept, tat, tat_rest = read(policy, state, now)
    if tat < now + term then
      tat, tat_rest = now + term, 0
    end
    return tat, tat_rest, kept
  end

  local function spare(policy, state, now, _, term)
    local tat, tat_rest = booked_from(policy, state, now, term)
    local whole, rest = parts.fill(policy)
    if not less(tat, tat_rest, now + whole, rest) then
      return 0
    end
    return parts.units(policy, minus(policy, now + whole, rest, tat, tat_rest))
  end

  local function lease(policy, state, now, units, term)
    local tat, tat_rest, kept = booked_from(policy, state, now, term)
    return write(policy, kept, now, plus(policy, tat, tat_rest, span(policy, units)))
  end

  -- Only where nothing has changed since, of which the moment of the last change is the sign, which stays; and nothing is booked ahead.
  local function give_back(policy, state, now, units, booked)
    local _, kept, seen, tat, tat_rest = unpack('>BI7I7I7I5', state)
    if now < seen then
      kept, tat, tat_rest = read(policy, state, now)
      return write(policy, kept, now, tat, tat_rest)
    end
    if seen ~= booked or tat_rest >= policy.limit then
      return nil
    end
    local given, given_rest = span(policy, units)
    local whole, rest = parts.fill(policy)
    if less(booked + whole, rest, tat, tat_rest) or less(tat, tat_rest, plus(policy, booked, 0, given, given_rest)) then
      return nil
    end
    tat, tat_rest = minus(policy, tat, tat_rest, given, given_rest)
    if not less(now, 0, tat, tat_rest) then
      return ''
    end
    return write(policy, kept, booked, tat, tat_rest)
  end

  local function full_at(policy, state, now)
    local _, tat, tat_rest = read(policy, state, now)
    return up(tat, tat_rest)
  end

  local function seen(state)
    return state and #state == SIZE and (unpack('>I7', state, 9)) or 0
  end

  local functions = { refund = refund, penalize = penalize, reserve = reserve, seen = seen, full_at = full_at }
  functions.spare, functions.lease, functions.give_back = spare, lease, give_back
  return functions[name]
end

local twin = { prepare = prepare, step = step, __index = seldom }
return setmetatable(twin, twin)
