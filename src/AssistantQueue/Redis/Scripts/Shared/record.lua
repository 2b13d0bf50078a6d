-- Writes a batch into the failed or completed store, and lets the oldest go when there are too many or they are too old.
local function record(store, batch, thread, kind, count, body, messages, retention, most)
  local index = p .. ':' .. store
  -- Once only: who repeats this after a crash finds its messages gone already.
  if redis.call('HEXISTS', index .. ':' .. batch, 'messages') == 0 then
    redis.call('HSET', index .. ':' .. batch,
      'thread', thread, 'kind', kind, 'count', text(count), 'at', text(now), 'body', body, 'messages', messages)
  end
  redis.call('ZADD', index, text(now), batch)
  return trim(store, retention, most)
end
