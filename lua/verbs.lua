-- verbs.lua: what is seldom asked of a key, and keys that are blocked. A state here may be one that is held, see holds.lua.
--
-- verbs() -> { forget, decide, act, together, several, lease, try, hold }, made when it is first needed. seldom() is the same, made once.
--   policy   what the engine prepared: { step, numbers, twin }
--   value    what the key holds, where the engine has read that and found something; `values` the same of each key
--
-- A blocked key's value is '>BI7' 2 and until when it is blocked, then the state beneath, if any. Redis keeps it for as long as
-- either of them counts.

local BLOCKED = 2

local function verbs()
  local byte, held = string.byte, holds()
  local FORGOTTEN, TAKEN, EACH, KIND = '\3', 6, '\7', 12
  -- So many bytes take as long on their way as a step.
  local WORTH_IT = 512

  -- Reads a key of which no value is known: its state or false, until when it is blocked, 0 where it is not, and how long its value
  -- is. An error answers nil and why.
  local function open(key, value)
    value = value or pcall('GET', key)
    if not value then
      return false, 0
    end
    if value.err then
      return nil, value.err
    end
    local length = #value
    if byte(value) ~= BLOCKED then
      return value, 0, length
    end
    if length < 8 then
      return nil, UNREADABLE
    end
    local _, till = unpack('>BI7', value)
    return length > 8 and sub(value, 9), till > now and till or 0, length
  end

  -- Writes a state, '' or false for a key that is as good as new, beneath its block. `expires` is nil where the time to live
  -- that is set lasts; then a value as long as the one before, of that `length`, is written over in place. Answers why it could not.
  local function save(key, state, till, expires, length)
    local written
    if till > 0 then
      state = state or ''
      local kept = held.kept(state)
      local last = kept > till and kept or till
      written = pcall('SET', key, pack('>BI7', BLOCKED, till) .. state, 'PX', lifetime(last - now))
    elseif not state or state == '' then
      written = pcall('DEL', key)
    elseif byte(state) == HELD then
      local span = held.kept(state) - now
      written = pcall('SET', key, state, 'PX', lifetime(span > 0 and span or 0))
    elseif expires then
      written = pcall('SET', key, state, 'PX', lifetime(expires > now and expires - now or 0))
    elseif #state ~= length or pcall('SETRANGE', key, '0', state) ~= length then
      -- Also where the user may not write in place.
      written = pcall('SET', key, state, 'KEEPTTL')
    end
    return type(written) == 'table' and written.err or nil
  end

  -- Whoever knows something of a key is told what has become of it, on a channel of its name: that it may be free where it was
  -- refused, or that what was leased of it is VOID besides. That this is not permitted is no failure.
  local FREED, VOID = '', '-'
  local function tell(key, news)
    pcall('PUBLISH', key, news)
  end

  local function forget(i)
    local removed = pcall('DEL', KEYS[i])
    if type(removed) == 'table' then
      return fail(i, removed.err)
    end
    if removed > 0 then
      tell(KEYS[i], VOID)
    end
    return FORGOTTEN
  end

  -- When a dated request happens: not after the present, nor before the key's last change.
  local function dated(policy, state, time)
    if time == 0 then
      return now
    end
    local seen = policy.twin.seen(held.apart(state, now) or false)
    local at = time < seen and seen or time
    return at < now and at or now
  end

  local function step_beneath(policy, state, at, cost, least)
    if state and byte(state) == HELD then
      return held.step(policy, state, at, cost, least)
    end
    return policy.step(policy.numbers, state, at, cost, least)
  end

  -- A step under a block. What is beneath frees itself meanwhile, so the later of the two moments is the one to wait for.
  local function step(policy, state, till, at, cost, least)
    if till == 0 then
      return step_beneath(policy, state, at, cost, least)
    end
    local readable, reason, _, retry_after, reset_at = step_beneath(policy, state, at, 0, least)
    if readable == nil then
      return nil, reason
    end
    local wait = till - at
    return false, 0, 0, retry_after > wait and retry_after or wait, reset_at > till and reset_at or till
  end

  -- Decides a call on a key that was opened.
  local function decide_on(i, policy, cost, least, time, state, till, length)
    local at = dated(policy, state, time)
    local allowed, granted, remaining, retry_after, reset_at, changed, expires, delay =
      step(policy, state, till, at, cost, least)
    if allowed == nil then
      return fail(i, granted or UNREADABLE)
    end
    if changed and cost > 0 then
      local failure = save(KEYS[i], changed, till, expires, length)
      if failure then
        return fail(i, failure)
      end
    end
    return answer(allowed, granted, remaining, retry_after, reset_at, delay)
  end

  local function decide(i, policy, cost, least, time, value)
    local state, till, length = open(KEYS[i], value)
    if state == nil then
      return fail(i, till)
    end
    return decide_on(i, policy, cost, least, time, state, till, length)
  end

  local change = {
    [2] = function(twin, numbers, state, at, units)
      return twin.refund(numbers, state, at, units)
    end,
    [3] = function(twin, numbers, state, at, units)
      return twin.penalize(numbers, state, at, units)
    end,
  }
  local GIVE_BACK, SETTLE, RENEW = 10, 12, 13
  local settle, renew

  -- Refund, penalty, reservation, block, unblock, what was leased; answers what a call of one unit is told then. A key that had
  -- nothing left and is given back to, or that is blocked no longer or for less long, may be free; of one that is blocked, nothing
  -- that was leased may be used.
  local function act(i, policy, verb, cost, time)
    if verb == SETTLE then
      return settle(i, policy, cost, time)
    elseif verb == RENEW then
      return renew(i, policy, cost, time)
    end
    local state, till, length = open(KEYS[i])
    if state == nil then
      return fail(i, till)
    end
    local numbers, twin = policy.numbers, policy.twin
    local at = change[verb] and dated(policy, state, time) or now
    local least = verb == 4 and cost or 1
    local allowed, reason, remaining, retry_after, reset_at, _, _, turn = step(policy, state, till, at, 0, least)
    if allowed == nil then
      return fail(i, reason or UNREADABLE)
    end
    local changed, expires, delay
    local own, packed, units = held.apart(state, at)
    if verb == 4 then
      -- Nothing is booked ahead behind holds: nobody knows when they will be settled.
      local may_book = till == 0 and units == 0
      turn = allowed and (turn or 0) or (may_book and twin.turn and twin.turn(numbers, own, at) or retry_after)
      if turn <= time and allowed then
        return decide_on(i, policy, cost, cost, 0, state, till, length)
      end
      if turn > time or not may_book or not twin.reserve then
        return answer(false, 0, remaining, turn, reset_at)
      end
      changed, expires = twin.reserve(numbers, own, at, cost)
      delay = turn
    elseif verb == 5 then
      changed, till = state or '', now + time
    elseif verb == 6 then
      changed, till = state or '', 0
      if state then
        -- The block may have set another life than the state's own.
        expires = held.kept(state)
      end
    elseif verb == GIVE_BACK then
      changed, expires = nil, nil
      if own and twin.give_back then
        changed, expires = twin.give_back(numbers, own, now, cost, time)
      end
    else
      changed, expires = change[verb](twin, numbers, own, at, cost)
    end
    if changed and packed ~= '' and verb ~= 5 and verb ~= 6 then
      changed = held.join(changed, packed, units)
    end
    if changed then
      local failure = save(KEYS[i], changed, till, expires, length)
      if failure then
        return fail(i, failure)
      end
      state = changed ~= '' and changed
      if verb == 5 then
        tell(KEYS[i], VOID)
      elseif not allowed and (verb == 2 or verb == 6 or verb == GIVE_BACK) then
        tell(KEYS[i], FREED)
      end
    end
    if delay then
      _, _, remaining, _, reset_at = step(policy, state, till, at, 0, 0)
      return answer(true, cost, remaining, 0, reset_at, delay)
    end
    allowed, _, remaining, retry_after, reset_at, _, _, turn = step(policy, state, till, at, 0, least)
    return answer(allowed, 0, remaining, retry_after, reset_at, turn)
  end

  -- What was taken before is given back as far as Redis lets it: nobody is charged for a call that failed.
  local function undo(key, state)
    if state then
      pcall('SET', key, state, 'KEEPTTL')
    else
      pcall('DEL', key)
    end
  end

  -- What is to be done to each key: the same tables each time, since making them costs more than a step.
  local states, changes, expiries = {}, {}, {}

  -- Takes `cost` from each of the keys behind `before`, one for each policy: a step of each, and what they come to is written when
  -- all of them allow it. Otherwise nothing is, and the answer is false. `values` are what the keys hold, where that was read.
  local function take_all(before, policies, cost, values)
    local keys, parts = KEYS, #policies
    for j = 1, parts do
      local policy, i, state = policies[j], before + j, nil
      if values then
        state = values[i]
      else
        state = pcall('GET', keys[i])
      end
      local allowed, granted, remaining, _, reset_at, changed, expires, delay =
        policy.step(policy.numbers, state, now, cost, cost)
      if not allowed then
        -- Refused, blocked or no state.
        return false
      end
      states[j] = state
      changes[j] = changed
      expiries[j] = expires or false
      answers[i] = delay and answer(true, granted, remaining, 0, reset_at, delay)
        or pack('>I6I5I7', ALLOWED_IN_FRONT + granted, remaining, reset_at)
    end
    for j = 1, parts do
      local key, state, changed, expires = keys[before + j], states[j], changes[j], expiries[j]
      if expires or #changed ~= #state or pcall('SETRANGE', key, '0', changed) ~= #changed then
        local written = put(key, state, changed, expires)
        local failure = written and written.err
        if failure or not written then
          for k = 1, j - 1 do
            undo(keys[before + k], states[k])
          end
          for k = before + 1, before + parts do
            answers[k] = failure and fail(k, failure)
          end
          return failure
        end
      end
    end
    return true
  end

  -- Looks at the keys behind `before`, one for each policy, then takes from all of them or from none. Answers are added to `answers`,
  -- and how many units it took of each is told.
  --
  -- Where there are `identities`, the last key is that of the limit on new keys, and of each key before it they say whose it is, 0
  -- for nobody who could be new. Somebody is new of whom no key counts anything. A call that brings somebody new takes one unit
  -- of that limit, whatever it costs; any other takes none of it, and is not refused by it.
  local function look_and_take(before, policies, cost, least, time, identities, values)
    local free, opened = cost, {}
    local last = identities and #policies
    local known, newcomers = identities and {}, 0
    local refused, failure, taken = false, nil, 0
    for j, policy in ipairs(policies) do
      local key = KEYS[before + j]
      local state, till, length = open(key, values and values[before + j])
      if state == nil then
        failure = failure or { before + j, till }
        break
      end
      local at, wanted = dated(policy, state, time), least
      if j == last then
        for _, is_known in pairs(known) do
          newcomers = is_known and newcomers or 1
        end
        wanted = newcomers
      end
      local allowed, reason, remaining, retry_after, reset_at, repaired, expires, delay =
        step(policy, state, till, at, 0, wanted)
      if allowed == nil then
        failure = { before + j, reason or UNREADABLE }
        break
      end
      if j == last then
        if newcomers == 0 then
          allowed, retry_after, delay = true, 0, nil
        end
      else
        free = remaining < free and remaining or free
        if identities and identities[j] > 0 then
          known[identities[j]] = known[identities[j]] or reset_at > at
        end
      end
      opened[j] = { key = key, state = state, at = at, till = till, length = length, repaired = repaired, expires = expires }
      answers[before + j] = answer(allowed, 0, remaining, retry_after, reset_at, delay)
      refused = refused or not allowed
    end
    if not failure and not refused and free > 0 then
      taken = free
      for j, policy in ipairs(policies) do
        local part, units = opened[j], j == last and newcomers or free
        if units > 0 then
          local allowed, granted, remaining, retry_after, reset_at, changed, expires, delay =
            step(policy, part.state, part.till, part.at, units, units)
          -- A damaged state may be one to a look and none to whoever takes.
          failure = allowed == nil and UNREADABLE or save(part.key, changed, part.till, expires, part.length)
          if failure then
            for k = 1, j - 1 do
              undo(opened[k].key, opened[k].state)
            end
            failure = { before + j, failure }
            break
          end
          answers[before + j] = answer(allowed, granted, remaining, retry_after, reset_at, delay)
        end
      end
    elseif not failure and cost > 0 then
      -- A refusal takes nothing, but keeps what a clock that jumped back has mended: waits go on from there.
      for j, part in ipairs(opened) do
        local failed = part.repaired and save(part.key, part.repaired, part.till, part.expires, part.length)
        failure = failure or (failed and { before + j, failed })
      end
    end
    if failure then
      for j = 1, #policies do
        answers[before + j] = fail(before + j, failure[2])
      end
      return 0
    end
    return taken
  end

  -- Decides `run` requests, the keys of which stand one after the other behind `before`: each takes from all of its keys, one for
  -- each policy, or from none of them.
  local function together(before, run, policies, cost, least, time, identities, values)
    -- Most are admitted, and then a step of each is enough.
    local may_take, parts = time == 0 and cost == least and cost > 0 and not identities, #policies
    for first = before, before + (run - 1) * parts, parts do
      if not (may_take and take_all(first, policies, cost, values)) then
        look_and_take(first, policies, cost, least, time, identities, values)
      end
    end
  end

  -- Decides calls on one key as if one came after the other, of equal ones as many as there is room for in one step. `asked`
  -- says from `offset` on how many kinds of calls there are, how many calls, '>HH', and of each kind how many, cost and least,
  -- '>HI5I5'; of several calls cost and least are equal, or the cost is 0. Answers what the calls are told, and where `asked`
  -- goes on.
  --
  -- Where nothing is taken all calls of a kind are told the same, so there is one answer a kind. Elsewhere each is told something
  -- else, which follows from the state that was there before. Where that is long they are decided one by one all the same.
  local function several(i, policy, asked, offset, value)
    local kinds, calls
    kinds, calls, offset = unpack('>HH', asked, offset)
    local stop = offset + kinds * KIND
    local before, till, length = open(KEYS[i], value)
    if before == nil then
      return fail(i, till), stop
    end
    local is_held = before and byte(before) == HELD
    local one_by_one = kinds == calls or is_held or #(before or '') > calls * WORTH_IT
    local state, taken, is_changed, expires, answers = before, 0, false, nil, {}
    while offset < stop do
      local left, cost, least
      left, cost, least, offset = unpack('>HI5I5', asked, offset)
      if left > 1 and cost > 0 and not one_by_one then
        local _, _, free = step(policy, state, till, now, 0, 0)
        local units = free and free - free % cost or 0
        units = units < left * cost and units or left * cost
        if units > 0 then
          cost, least = units, units
        end
      end
      for _ = 1, one_by_one and left or 1 do
        local allowed, granted, remaining, retry_after, reset_at, changed, ends, delay =
          step(policy, state, till, now, cost, least)
        if allowed == nil then
          return fail(i, granted or UNREADABLE), stop
        end
        answers[#answers + 1] = answer(allowed, granted, remaining, retry_after, reset_at, delay)
        taken = taken + granted
        if changed and cost > 0 then
          state, is_changed, expires = changed, true, ends or expires
        end
      end
    end
    local failure = is_changed and save(KEYS[i], state, till, expires, length)
    if failure then
      return fail(i, failure), stop
    end
    if one_by_one then
      return EACH .. table.concat(answers), stop
    end
    if taken == 0 then
      return table.concat(answers), stop
    end
    before = before or ''
    return pack('>BI7I7I4', TAKEN, now, taken, #before) .. before, stop
  end

  local lease, try = leases(open, save, decide_on), trials(decide, take_all, look_and_take)
  local hold
  hold, settle, renew = held.over(open, save, step, function(key)
    tell(key, FREED)
  end, undo)
  return {
    forget = forget, decide = decide, act = act, together = together, several = several, lease = lease, try = try, hold = hold,
  }
end

-- What most batches do without.
local rare
local function seldom()
  rare = rare or verbs()
  return rare
end
