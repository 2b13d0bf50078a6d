-- The place of an update among the thread's: after its fence, its messages, every message stored before it, and every place given before.
local function stamp_of(thread, fence, last)
  local tail = redis.pcall('LINDEX', p .. ':messages:' .. thread, -1)
  local newest = type(tail) == 'string' and header(tail) or 0
  local known = tonumber(redis.call('HGET', counters, 'sequence') or 0)
  local stamp = math.max(now_us, tonumber(fence) + 1, newest + 1, last + 1, known + 1)
  -- What is stored or claimed next comes after it: also over idle times, also if the clock is set back.
  redis.call('HSET', counters, 'sequence', text(stamp))
  return stamp
end
