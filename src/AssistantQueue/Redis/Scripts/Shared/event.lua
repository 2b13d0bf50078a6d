-- Keeps what happened to a thread besides its outcomes, for watchers that come again, and tells it.
local function keep_event(thread, stamp, kind, batch, first, last, number, retention)
  local events = p .. ':events:' .. thread
  put('RPUSH', events, table.concat({ text(stamp), kind, batch, text(first), text(last), text(number) }, ' '))
  redis.call('LTRIM', events, -50, -1)
  redis.call('PEXPIRE', events, retention)
  announce(thread, stamp, kind, batch, first, last, number)
end
