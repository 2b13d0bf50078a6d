-- The place of a finish among the thread's updates: after its fence, its messages and every message stored before it.
local function stamp_of(thread, fence, last)
  local tail = redis.pcall('LINDEX', p .. ':messages:' .. thread, -1)
  local newest = type(tail) == 'string' and header(tail) or 0
  local stamp = math.max(now_us, tonumber(fence) + 1, newest + 1, last + 1)
  -- What is stored or claimed next comes after it: also over idle times, also if the clock is set back.
  if stamp > tonumber(redis.call('HGET', counters, 'sequence') or 0) then
    redis.call('HSET', counters, 'sequence', text(stamp))
  end
  return stamp
end
