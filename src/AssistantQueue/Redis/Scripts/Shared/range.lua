-- The thread's sealed range as its owner knows it, through the sequence number given, or all of it with ''. A join that reached
-- Redis late may have sealed more, which the owner has never seen: that stays, and goes on like newer messages.
-- Returns the first and the last sequence number, how many messages these are, and how many are sealed.
local function owned_range(thread, known)
  local h = redis.call('HMGET', p .. ':thread:' .. thread, 'first', 'last', 'count')
  local first, last, sealed = tonumber(h[1]), tonumber(h[2]), tonumber(h[3])
  local through = tonumber(known)
  if not through or through >= last then return first, last, sealed, sealed end
  local count = 0
  for _, entry in ipairs(redis.pcall('LRANGE', p .. ':messages:' .. thread, 0, sealed - 1)) do
    local sequence = header(entry)
    if not sequence or sequence > through then break end
    count = count + 1
  end
  return first, through, count, sealed
end
