-- Keeps a reply ('r') or failure ('f') for callers that wait and for watchers that come late, and opens its delivery.
-- run: the run that it ends, as 'fence attempt last'; places: its messages' sequence numbers, each as the distance from the one before.
local function keep_outcome(thread, stamp, kind, first, last, batch, run, places, body, retention, deliver)
  local replies, events = p .. ':replies:' .. thread, p .. ':events:' .. thread
  put('RPUSH', replies, table.concat({ text(stamp), kind, text(first), text(last), batch, run, places, body }, ' '))
  redis.call('LTRIM', replies, -20, -1)
  redis.call('PEXPIRE', replies, retention)
  -- What led to it is kept as long; most of the time there was nothing.
  if (tonumber(redis.pcall('LLEN', events)) or 0) > 0 then redis.call('PEXPIRE', events, retention) end
  if deliver == '1' then
    put('RPUSH', p .. ':delivery:' .. thread, table.concat({ batch, kind, text(now), body }, ' '))
    if not redis.call('ZSCORE', p .. ':deliveries', thread) then redis.call('ZADD', p .. ':deliveries', text(now), thread) end
  end
end
