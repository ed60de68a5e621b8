-- batch.lua: what engine.lua, leases.lua and verbs.lua share of the batch that is being decided.
--
-- now, answers, failures    of this batch; engine.lua sets them anew
-- recall, remember          of a library alone, see known.lua
-- answer(allowed, granted, remaining, retry_after, reset_at, delay) -> an answer, packed as engine.lua says
-- fail(i, message)          -> the answer of a key that failed
-- put(key, state, changed, expires) -> Redis's reply: false where something else than `state` was there

local UNREADABLE = 'STATE the value is not the state of a limit'
local REFUSED, DELAYED = 2, 5
-- ALLOWED, which is 1, as the byte before five others: with the units granted it is one field to pack, and not two.
local ALLOWED_IN_FRONT = 1099511627776 -- 2^40

local now, answers, failures, recall, remember

local function fail(i, message)
  failures = failures or { '' }
  failures[#failures + 1] = i
  failures[#failures + 1] = message
  return '\4'
end

local function answer(allowed, granted, remaining, retry_after, reset_at, delay)
  if not allowed then
    return pack('>BI5I7I7', REFUSED, remaining, retry_after, reset_at)
  end
  if delay and delay > 0 then
    return pack('>BI5I5I7I7', DELAYED, granted, remaining, reset_at, delay)
  end
  return pack('>I6I5I7', ALLOWED_IN_FRONT + granted, remaining, reset_at)
end

-- Writes what a step has made of a key that is not blocked. A value of another kind is none to MGET, and is not written over.
local function put(key, state, changed, expires)
  if not expires then
    return pcall('SET', key, changed, 'KEEPTTL')
  end
  if state then
    return pcall('SET', key, changed, 'PX', lifetime(expires - now))
  end
  return pcall('SET', key, changed, 'PX', lifetime(expires - now), 'NX')
end
