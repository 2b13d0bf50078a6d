-- Fences grow, also after a restart without data: the last one plus one, or the time in µs; and they are
-- younger than the messages and finishes before them, so that fences and sequence numbers are one order of a thread's updates.
local last_fence
local function next_fence(newest)
  if not last_fence then
    local known = redis.call('HMGET', counters, 'fence', 'sequence')
    last_fence = math.max(tonumber(known[1] or 0), tonumber(known[2] or 0))
  end
  last_fence = math.max(last_fence + 1, now_us, (newest or 0) + 1)
  return last_fence
end
local function keep_fence()
  if last_fence then redis.call('HSET', counters, 'fence', text(last_fence)) end
end
