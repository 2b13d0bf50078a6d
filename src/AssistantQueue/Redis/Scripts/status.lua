--[[
Count messages and threads by state. What waits is counted over at most 1,000 threads of each kind and extrapolated beyond.
KEYS[1]  p:due    ZSET  thread -> time from which any worker may claim it
KEYS[2]  p:guard  -     never exists
ARGV[1]  partitions
Returns  { pending, active, completed, failed, waiting messages, active threads, waiting threads, delayed threads, '1' if estimated }
Writes   nothing
]]
--@include partition
local estimated = false
-- Messages of the set's threads from the first score on, without the sealed ones of threads that run.
local function count(set, upto, running)
  local all = redis.call('ZCOUNT', set, '-inf', upto)
  local sample = redis.call('ZRANGEBYSCORE', set, '-inf', upto, 'LIMIT', 0, 1000)
  local messages = 0
  for _, thread in ipairs(sample) do
    local length = redis.pcall('LLEN', p .. ':messages:' .. thread)
    if type(length) ~= 'table' then
      local sealed = running and tonumber(redis.pcall('HGET', p .. ':thread:' .. thread, 'count') or 0) or 0
      messages = messages + math.max(0, length - sealed)
    end
  end
  if all > #sample and #sample > 0 then
    estimated = true
    messages = math.floor(messages * all / #sample)
  end
  return messages, all
end

local c = redis.call('HMGET', counters, 'pending', 'active', 'completed', 'failed')
local behind, running = count(p .. ':leases', '+inf', true)
local due, due_threads = count(KEYS[1], text(now), false)
local suspect, suspect_threads = count(p .. ':suspects', text(now), false)
local waiting_threads = due_threads + suspect_threads
local delayed_threads = redis.call('ZCARD', KEYS[1]) + redis.call('ZCARD', p .. ':suspects')
  + redis.call('ZCARD', p .. ':held') - waiting_threads
return { c[1] or '0', c[2] or '0', c[3] or '0', c[4] or '0', text(behind + due + suspect), text(running),
  text(waiting_threads), text(delayed_threads), estimated and '1' or '0' }
