-- Keeps an update that is no outcome, for watchers that come late.
local function keep_event(thread, line, retention)
  local events = p .. ':events:' .. thread
  put('RPUSH', events, line)
  redis.call('LTRIM', events, -200, -1)
  redis.call('PEXPIRE', events, retention)
end
