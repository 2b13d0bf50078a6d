-- Gives a thread back: from the time given anybody may claim it; a suspect only a worker that runs nothing else.
local function rearm(thread, from, worker)
  local key = p .. ':thread:' .. thread
  redis.call('HDEL', key, 'owner', 'token', 'adoptable')
  local suspect = tonumber(redis.call('HGET', key, 'deaths') or 0) > 0
  redis.call('ZADD', suspect and (p .. ':suspects') or KEYS[1], text(from), thread)
  wake(from, worker)
end
