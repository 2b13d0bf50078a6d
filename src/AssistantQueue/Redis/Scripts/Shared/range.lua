-- How many of the thread's first messages, of so many, belong to what ends with a sequence number. A line whose header can't be read
-- does only if a message that does lies behind it.
local function count_through(thread, of, last)
  local count = 0
  for i, entry in ipairs(of > 0 and redis.pcall('LRANGE', p .. ':messages:' .. thread, 0, of - 1) or {}) do
    local sequence = header(entry)
    if sequence and sequence > last then break end
    if sequence then count = i end
  end
  return count
end
-- The thread's sealed range as its owner knows it, through the sequence number given, or all of it with ''. A join that reached
-- Redis late may have sealed more, which the owner has never seen: that stays, and goes on like newer messages.
-- Returns the first and the last sequence number, how many messages these are, and how many are sealed.
local function owned_range(thread, known)
  local h = redis.call('HMGET', p .. ':thread:' .. thread, 'first', 'last', 'count')
  local first, last, sealed = tonumber(h[1]), tonumber(h[2]), tonumber(h[3])
  local through = tonumber(known)
  if not through or through >= last then return first, last, sealed, sealed end
  return first, through, count_through(thread, sealed, through), sealed
end
