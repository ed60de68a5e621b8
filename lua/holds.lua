-- holds.lua: units that are kept back until they are settled; src/algorithm/holds.rs explains them.
--
-- A held key's value is '>BI7H' 3, the units of all holds and how many those are; of each '>I7I5' when it ends, by which it is named, and
-- its units, the first to end first; then the state beneath, if any. A block may lie over it.
--
-- holds() -> { apart, join, kept, step, over }
--   apart(state, at) -> own, packed, units: the state beneath, false where there is none, nil where it cannot be read; the holds that
--     have not ended, and the units of them. Any state may be handed to it.
--   join(own, packed, units) -> the state that says so, '' where there is nothing to say
--   kept(state) -> until when Redis keeps such a state for its own sake
--   step(policy, state, at, cost, least) -> as a twin's, of a state that is held
--   over(open, save, step, tell, undo) -> hold, settle, over five functions of verbs.lua
--     hold(before, run, policies, units, ttl) holds units of all keys of a request, or of none. Answers are added to `answers`
--     settle(i, policy, units, ends) -> an answer, and renew(i, policy, ttl, ends) -> an answer

local HELD = 3

local function holds()
  local byte, huge = string.byte, math.huge
  local HEAD, EACH, MOST = 10, 12, 4096
  local ANSWER = 9

  local function apart(state, at)
    if not state or byte(state) ~= HELD then
      return state, '', 0
    end
    if #state < HEAD then
      return nil
    end
    local _, units, count = unpack('>BI7H', state)
    local stop = HEAD + EACH * count
    if #state < stop then
      return nil
    end
    local from = HEAD + 1
    while from < stop do
      local ends, ended = unpack('>I7I5', state, from)
      if ends > at then
        break
      end
      units, from = units - ended, from + EACH
    end
    return #state > stop and sub(state, stop + 1), sub(state, from, stop), units
  end

  local function join(own, packed, units)
    if packed == '' then
      return own or ''
    end
    return pack('>BI7H', HELD, units, #packed / EACH) .. packed .. (own or '')
  end

  -- When the last of them ends.
  local function last_of(packed)
    return (unpack('>I7', packed, #packed - EACH + 1))
  end

  local function kept(state)
    local own, packed = apart(state, 0)
    local till = own and #own >= 8 and select(2, unpack('>BI7', own)) or 0
    local last = packed ~= '' and last_of(packed) or 0
    return last > till and last or till
  end

  -- How long until there are `least` units, if nothing is settled: where the ends of the holds and the wait for what is still held
  -- after them cross.
  local function wait_under(policy, own, packed, held, at, least)
    local numbers, twin_step = policy.numbers, policy.step
    local _, _, capacity = twin_step(numbers, false, at, 0, 0)
    local count = #packed / EACH
    local ends, left = { [0] = at }, { [0] = held }
    local function wait(ended)
      while #left < ended do
        local i = #left
        local of_it
        ends[i + 1], of_it = unpack('>I7I5', packed, i * EACH + 1)
        left[i + 1] = left[i] - of_it
      end
      local wanted = least + left[ended]
      if wanted > capacity and ended < count then
        return huge
      end
      local _, _, _, retry_after = twin_step(numbers, own, at, 0, wanted)
      return retry_after
    end
    local function comes_first(ended)
      local waits = wait(ended)
      return ends[ended] - at >= waits
    end
    local low, high = 0, 1
    while not comes_first(high) do
      if high == count then
        return wait(count)
      end
      low, high = high, 2 * high < count and 2 * high or count
    end
    while high - low > 1 do
      local middle = (low + high - (low + high) % 2) / 2
      if comes_first(middle) then
        high = middle
      else
        low = middle
      end
    end
    local waits, till = wait(low), ends[high] - at
    return waits < till and waits or till
  end

  local function step(policy, state, at, cost, least)
    local own, packed, held = apart(state, at)
    if own == nil then
      return nil
    end
    local numbers, twin_step = policy.numbers, policy.step
    if packed == '' then
      local allowed, granted, remaining, retry_after, reset_at, changed, expires, delay =
        twin_step(numbers, own, at, cost, least)
      -- The holds may have set another life than the state's own.
      return allowed, granted, remaining, retry_after, reset_at, changed, changed and (expires or kept(changed)), delay
    end
    local allowed, _, beneath, _, reset_at, changed, expires, delay = twin_step(numbers, own, at, 0, 0)
    if allowed == nil then
      return nil
    end
    local free = beneath > held and beneath - held or 0
    local units = cost < free and cost or free
    local last = last_of(packed)
    if free < least then
      allowed, units, delay = false, 0, nil
    elseif units > 0 then
      local _
      _, _, _, _, reset_at, changed, expires, delay = twin_step(numbers, own, at, units, units)
    end
    local waits = allowed and 0 or wait_under(policy, own, packed, held, at, least)
    reset_at = reset_at > last and reset_at or last
    return allowed, units, free - units, waits, reset_at, changed and join(changed, packed, held), expires, delay
  end

  -- Where a hold of that end stands among them, or would, and whether it does.
  local function place_of(packed, ends)
    local low, high = 0, #packed / EACH
    while low < high do
      local middle = (low + high - (low + high) % 2) / 2
      if (unpack('>I7', packed, middle * EACH + 1)) < ends then
        low = middle + 1
      else
        high = middle
      end
    end
    local at = low * EACH
    return at, at < #packed and (unpack('>I7', packed, at + 1)) == ends
  end

  -- The first end from `ends` on that none of them has. Each is later than the one before, so those without a gap are found by halves.
  local function free_in(packed, ends)
    local at, is_there = place_of(packed, ends)
    if not is_there then
      return ends
    end
    local first = at / EACH
    local low, high = first, #packed / EACH
    while high - low > 1 do
      local middle = (low + high - (low + high) % 2) / 2
      if (unpack('>I7', packed, middle * EACH + 1)) == ends + middle - first then
        low = middle
      else
        high = middle
      end
    end
    return ends + low - first + 1
  end

  local function insert(packed, ends, units)
    local at = place_of(packed, ends)
    return sub(packed, 1, at) .. pack('>I7I5', ends, units) .. sub(packed, at + 1)
  end

  local function answer_held(allowed, granted, remaining, retry_after, reset_at, delay, booked)
    local yes = allowed and 1 or 0
    return pack('>BBI5I5I7I7I7I7', ANSWER, yes, granted, remaining, retry_after, reset_at, delay or 0, booked)
  end

  local function over(open, save, step, tell, undo)
    local function hold_each(before, policies, units, ttl)
      local ends, parts, refused, failure = now + ttl, {}, false, nil
      for j, policy in ipairs(policies) do
        local state, till, length = open(KEYS[before + j])
        if state == nil then
          failure = till
          break
        end
        local allowed, _, remaining, retry_after, reset_at, repaired, expires, delay =
          step(policy, state, till, now, 0, units)
        if allowed == nil then
          failure = UNREADABLE
          break
        end
        local own, packed, held = apart(repaired or state, now)
        if #packed >= MOST * EACH then
          local wait = unpack('>I7', packed) - now
          allowed, retry_after = false, retry_after > wait and retry_after or wait
        end
        parts[j] = {
          key = KEYS[before + j], state = state, till = till, length = length, repaired = repaired, expires = expires,
          own = own, packed = packed, held = held, remaining = remaining, reset_at = reset_at, delay = delay,
        }
        answers[before + j] = answer(allowed, 0, remaining, retry_after, reset_at, delay)
        refused = refused or not allowed
      end
      if not failure and refused then
        for _, part in ipairs(parts) do
          failure = failure or part.repaired and save(part.key, part.repaired, part.till, part.expires, part.length)
        end
      elseif not failure then
        local before_all
        repeat
          before_all = ends
          for _, part in ipairs(parts) do
            ends = free_in(part.packed, ends)
          end
        until ends == before_all
        for j, part in ipairs(parts) do
          local changed = join(part.own, insert(part.packed, ends, units), part.held + units)
          failure = save(part.key, changed, part.till, nil, part.length)
          if failure then
            for k = 1, j - 1 do
              undo(parts[k].key, parts[k].state)
            end
            break
          end
          local reset_at = part.reset_at > ends and part.reset_at or ends
          answers[before + j] = answer_held(true, units, part.remaining - units, 0, reset_at, part.delay, ends)
        end
      end
      if failure then
        for j = 1, #policies do
          answers[before + j] = fail(before + j, failure)
        end
      end
    end

    local function hold(before, run, policies, units, ttl)
      for first = before, before + (run - 1) * #policies, #policies do
        hold_each(first, policies, units, ttl)
      end
    end

    -- Ends the hold of that end: for good, or to have it end so much after now instead. What was used of it is taken past the limit.
    local function finish(i, policy, ends, used, ttl)
      local state, till, length = open(KEYS[i])
      if state == nil then
        return fail(i, till)
      end
      if step(policy, state, till, now, 0, 1) == nil then
        return fail(i, UNREADABLE)
      end
      local own, packed, held = apart(state, now)
      local at, is_there = place_of(packed, ends)
      local booked, freed, changed, expires = 0, 0, nil, nil
      if is_there then
        local _, units = unpack('>I7I5', packed, at + 1)
        packed, held, booked, freed = sub(packed, 1, at) .. sub(packed, at + EACH + 1), held - units, ends, units - used
        if ttl then
          booked, freed = free_in(packed, now + ttl), 0
          packed, held = insert(packed, booked, units), held + units
        end
      end
      if used > 0 then
        changed, expires = policy.twin.penalize(policy.numbers, own, now, used)
      end
      if changed or is_there then
        local value = join(changed or own, packed, held)
        if byte(state or '') == HELD and packed == '' and value ~= '' then
          -- The holds may have set another life than the state's own.
          expires = expires or kept(value)
        end
        local failure = save(KEYS[i], value, till, expires, length)
        if failure then
          return fail(i, failure)
        end
        state = value ~= '' and value
        if freed > 0 then
          tell(KEYS[i])
        end
      end
      local allowed, _, remaining, retry_after, reset_at, _, _, delay = step(policy, state, till, now, 0, 1)
      return answer_held(allowed, 0, remaining, retry_after, reset_at, delay, booked)
    end

    local function settle(i, policy, used, ends)
      return finish(i, policy, ends, used, nil)
    end

    local function renew(i, policy, ttl, ends)
      return finish(i, policy, ends, 0, ttl)
    end
    return hold, settle, renew
  end

  return { apart = apart, join = join, kept = kept, step = step, over = over }
end
