-- expiry.lua: until when Redis keeps a value.
--
-- keep(kept, reset_at, window) -> kept, expires
--   kept      microseconds since the epoch up to which Redis keeps the value now, as the value itself says; 0 if it is new
--   reset_at  when the key is as good as new, and must not be forgotten before
--   expires   the moment to be set with the value, or nil where what is set already lasts
--
-- Setting a time to live is nearly half of what a write costs, so it is set an eighth of a window longer than needed and then
-- left alone (SET … KEEPTTL, SETRANGE) until that is used up. The value says how long it is kept, since the policy may have
-- changed in between; a value that lost its time to live gets it back in the same way.

local function keep(kept, reset_at, window)
  if reset_at <= kept then
    return kept, nil
  end
  kept = reset_at + (window - window % 8) / 8
  return kept, kept
end
