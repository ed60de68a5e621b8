-- with_burst.lua: the twin of src/algorithm/with_burst.rs, which explains the algorithm.
--
-- prepare(limit, window, own, extra, refill) -> policy. The three numbers of the windowed algorithm, then the bucket's units and
-- the window in which they come back.
-- step, refund, penalize and seen are as in the windowed algorithm's own file, over two twins:
--   base    the windowed algorithm's: one that has `counted`. It has this one's number without 128
--   bucket  the token bucket's
--
-- State: '>BI7H' version, kept (see expiry.lua), the length of what follows of base; then base's state and the bucket's, each
-- without the version and kept that it begins with, and empty where nothing is counted. The parts' own kept is not used: as
-- long as either part counts, both are kept.

local base, bucket = twin_of(id - 128), twin_of(2)

local HEADER, PREFIX, VERSION = 10, 8, 1
local BLANK = pack('>BI7', VERSION, 0)

local function prepare(limit, window, own, extra, refill)
  return {
    base = base.prepare(limit, window, own),
    bucket = bucket.prepare(extra, refill, extra),
    limit = limit,
    extra = extra,
    window = math.max(window, refill),
  }
end

-- Until when the value is kept, and the parts' states as their twins read them. Nil for what cannot be read.
local function split(state)
  if not state then
    return 0, false, false
  end
  local version, kept, length
  if #state >= HEADER then
    version, kept, length = unpack('>BI7H', state)
  end
  if version ~= VERSION or #state < HEADER + length then
    return nil
  end
  local stop = HEADER + length
  return kept,
    length > 0 and BLANK .. sub(state, HEADER + 1, stop),
    stop < #state and BLANK .. sub(state, stop + 1)
end

-- The state that is to be written, and its expiry.
local function join(policy, kept, reset_at, of_base, of_extra)
  local body = of_base and sub(of_base, PREFIX + 1) or ''
  local rest = of_extra and sub(of_extra, PREFIX + 1) or ''
  if body == '' and rest == '' then
    return '', nil
  end
  local expires
  if kept > reset_at + policy.window then
    -- Further ahead than it is ever set: the clock jumped back, or units were given back.
    kept = 0
  end
  kept, expires = keep(kept, reset_at, policy.window)
  return pack('>BI7H', VERSION, kept, #body) .. body .. rest, expires
end

-- A part's state as a twin is given it: where nothing is counted there is none.
local function some(state)
  return state ~= '' and state
end

-- Of a base that is not taken from: without what it has forgotten, since it is written with the bucket.
local function present(policy, of_base, now)
  return of_base and some(base.refund(policy.base, of_base, now, 0))
end

-- What the bucket holds, when it is full, and its state where a jump back of the clock must be written: more than it can hold
-- is always refused, and a refusal writes that.
local function look(policy, state, now)
  local read, _, free, _, reset_at, changed = bucket.step(policy.bucket, state, now, 0, policy.extra + 1)
  return read ~= nil and free or nil, reset_at, changed
end

-- How long until `least` units are there, over all ways to share them out. Nil for a damaged base: one that says less of
-- when its units come back than of how many they are.
local function wait(policy, of_base, of_extra, now, least)
  local function base_wait(units)
    return (select(4, base.step(policy.base, of_base, now, 0, units)))
  end
  local function extra_wait(units)
    return (select(4, bucket.step(policy.bucket, of_extra, now, 0, units)))
  end
  local high = least < policy.limit and least or policy.limit
  local fewest = least > policy.extra and least - policy.extra or 0
  if fewest > high then
    fewest = high
  end
  local low = fewest
  if not base_wait(high) then
    return nil
  end
  while low < high do
    local sum = low + high
    local middle = (sum - sum % 2) / 2
    if base_wait(middle) >= extra_wait(least - middle) then
      high = middle
    else
      low = middle + 1
    end
  end
  local longest = math.max(base_wait(low), extra_wait(least - low))
  return low > fewest and math.min(longest, extra_wait(least - low + 1)) or longest
end

local function step(policy, state, now, cost, least)
  local kept, of_base, of_extra = split(state)
  if not kept then
    return nil
  end
  local all = cost > least and cost or least
  local read, granted, remaining, _, reset_at, base_changed = base.step(policy.base, of_base, now, cost, all)
  local extra, extra_reset_at, extra_changed = look(policy, of_extra, now)
  if read == nil or not extra then
    return nil
  end
  local free = granted + remaining + extra
  local allowed, units, retry_after = true, cost < free and cost or free, 0
  if free < least then
    allowed, units, retry_after = false, 0, wait(policy, of_base, of_extra, now, least)
    if not retry_after then
      return nil
    end
  end
  local missing = units - granted
  if missing > 0 then
    local share = missing < remaining and missing or remaining
    if share > 0 then
      reset_at, base_changed = select(5, base.step(policy.base, of_base, now, share, share))
    end
    if missing > share then
      extra_reset_at, extra_changed =
        select(5, bucket.step(policy.bucket, of_extra, now, missing - share, missing - share))
    end
  end
  if extra_reset_at > reset_at then
    reset_at = extra_reset_at
  end
  if not (base_changed or extra_changed) then
    return allowed, units, free - units, retry_after, reset_at, nil
  end
  return allowed, units, free - units, retry_after, reset_at,
    join(policy, kept, reset_at, base_changed or present(policy, of_base, now), extra_changed or of_extra)
end

-- What is seldom asked of a key, by its name. A script makes whatever it names anew each time it runs, and most runs only take
-- steps, so these are made when they are asked for.
local function seldom(_, name)
  -- What is to be written of parts that were changed otherwise than by a step.
  local function write(policy, kept, now, of_base, of_extra)
    local reset_at = select(5, base.step(policy.base, of_base, now, 0, 0))
    local extra_reset_at = select(5, bucket.step(policy.bucket, of_extra, now, 0, 0))
    return join(policy, kept, math.max(reset_at, extra_reset_at), of_base, of_extra)
  end

  local function refund(policy, state, now, units)
    if not state then
      return nil
    end
    local kept, of_base, of_extra = split(state)
    local counted = 0
    if of_base then
      counted = math.min(units, base.counted(policy.base, of_base, now))
      of_base = some(base.refund(policy.base, of_base, now, counted))
    end
    if of_extra then
      of_extra = some(bucket.refund(policy.bucket, of_extra, now, units - counted))
    end
    return write(policy, kept, now, of_base, of_extra)
  end

  local function penalize(policy, state, now, units)
    local kept, of_base, of_extra = split(state)
    of_base = present(policy, of_base, now)
    local free = select(3, base.step(policy.base, of_base, now, 0, 0))
    local extra, _, repaired = look(policy, of_extra, now)
    of_extra = repaired or of_extra
    local from_base = units < free and units or free
    local from_extra = math.min(units - from_base, extra)
    local debt = units - from_base - from_extra
    local debt_of_base = math.min(debt, policy.limit)
    of_base = base.penalize(policy.base, of_base, now, from_base + debt_of_base) or of_base
    of_extra = bucket.penalize(policy.bucket, of_extra, now, from_extra + debt - debt_of_base) or of_extra
    return write(policy, kept, now, of_base, of_extra)
  end

  local function seen(state)
    local _, of_base, of_extra = split(state)
    return math.max(base.seen(of_base), bucket.seen(of_extra))
  end

  return ({ refund = refund, penalize = penalize, seen = seen })[name]
end

local twin = { prepare = prepare, step = step, __index = seldom }
return setmetatable(twin, twin)
