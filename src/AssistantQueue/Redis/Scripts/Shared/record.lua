-- Writes a batch into the failed or completed store, and lets the oldest go when there are too many or they are too old.
local function record(store, batch, thread, kind, count, body, messages, retention, most)
  local index = p .. ':' .. store
  redis.call('HSET', index .. ':' .. batch,
    'thread', thread, 'kind', kind, 'count', text(count), 'at', text(now), 'body', body, 'messages', messages)
  redis.call('ZADD', index, text(now), batch)
  local leave = redis.call('ZRANGEBYSCORE', index, '-inf', text(now - retention), 'LIMIT', 0, 10)
  local surplus = redis.call('ZCARD', index) - most
  if surplus > 0 then
    for _, oldest in ipairs(redis.call('ZRANGE', index, 0, math.min(surplus, 10) - 1)) do leave[#leave + 1] = oldest end
  end
  local gone = 0
  for _, old in ipairs(leave) do
    if redis.call('ZREM', index, old) == 1 then
      gone = gone + tonumber(redis.call('HGET', index .. ':' .. old, 'count') or 0)
      redis.call('DEL', index .. ':' .. old)
    end
  end
  return gone
end
