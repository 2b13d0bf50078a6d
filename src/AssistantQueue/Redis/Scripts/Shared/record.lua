-- Writes a batch into the failed or completed store, and lets the oldest go when there are too many or they are too old.
local function record(store, batch, thread, kind, count, body, messages, retention, most)
  local index = p .. ':' .. store
  -- Once only: who repeats this after a crash finds its messages gone already.
  if redis.call('HEXISTS', index .. ':' .. batch, 'messages') == 0 then
    redis.call('HSET', index .. ':' .. batch,
      'thread', thread, 'kind', kind, 'count', text(count), 'at', text(now), 'body', body, 'messages', messages)
  end
  redis.call('ZADD', index, text(now), batch)
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
