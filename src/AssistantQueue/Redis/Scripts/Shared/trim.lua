-- Lets the oldest batches of the failed or completed store go, ten at a time, when there are too many or they are too old.
-- Returns how many messages they had.
local function trim(store, retention, most)
  local index = p .. ':' .. store
  local leave = redis.call('ZRANGEBYSCORE', index, '-inf', text(now - retention), 'LIMIT', 0, 10)
  local surplus = redis.call('ZCARD', index) - most
  if surplus > 0 then
    for _, oldest in ipairs(redis.call('ZRANGE', index, 0, math.min(surplus, 10) - 1)) do leave[#leave + 1] = oldest end
  end
  local gone = 0
  for _, old in ipairs(leave) do
    gone = gone + tonumber(redis.call('HGET', index .. ':' .. old, 'count') or 0)
    redis.call('DEL', index .. ':' .. old)
    redis.call('ZREM', index, old)
  end
  return gone
end
