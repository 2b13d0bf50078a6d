-- Keeps a reply ('r') or failure ('f') for callers that wait, and opens its delivery.
local function keep_outcome(thread, stamp, kind, first, last, batch, body, retention, deliver)
  local replies = p .. ':replies:' .. thread
  put('RPUSH', replies, table.concat({ text(stamp), kind, text(first), text(last), batch, body }, ' '))
  redis.call('LTRIM', replies, -20, -1)
  redis.call('PEXPIRE', replies, retention)
  if deliver == '1' then
    put('RPUSH', p .. ':delivery:' .. thread, table.concat({ batch, kind, text(now), body }, ' '))
    if not redis.call('ZSCORE', p .. ':deliveries', thread) then redis.call('ZADD', p .. ':deliveries', text(now), thread) end
  end
end
