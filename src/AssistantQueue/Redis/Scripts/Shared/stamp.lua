-- The place of a finish among the thread's updates: after its fence and after every message stored before it.
local function stamp_of(thread, fence)
  local tail = redis.call('LINDEX', p .. ':messages:' .. thread, -1)
  local stamp = math.max(now_us, tonumber(fence) + 1, (tail and header(tail) or 0) + 1)
  -- Ahead of the clock after a burst; what is stored next comes after it.
  if stamp > now_us and stamp > tonumber(redis.call('HGET', counters, 'sequence') or 0) then
    redis.call('HSET', counters, 'sequence', text(stamp))
  end
  return stamp
end
