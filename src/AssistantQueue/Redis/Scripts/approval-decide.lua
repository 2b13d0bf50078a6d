--[[
Store what somebody decided about a tool call; a thread that rests for it is due at once.
KEYS[1]  p:due    ZSET  thread -> time from which any worker may claim it
KEYS[2]  p:guard  -     never exists
ARGV[1]  partitions
ARGV[2]  thread
ARGV[3]  batch
ARGV[4]  call, without white space
ARGV[5]  '1' approved | '0' rejected
ARGV[6]  the reason, without white space
Returns  '1' stored, now or before; '0' decided differently; '-1' the thread has another batch, or none
Writes   p:thread:<thread>, p:held, p:due or p:suspects
]]
--@include partition
--@include wake
--@include rearm
--@include freeing
local thread, call = ARGV[2], ARGV[4]
local key = p .. ':thread:' .. thread
local h = redis.call('HMGET', key, 'batch', 'decisions', 'approval', 'decided')
if h[1] ~= ARGV[3] then return '-1' end
local is_known, count = false, 0
for line in string.gmatch(h[2] or '', '[^\n]+') do
  local known, word = string.match(line, '^(%S+) (%d)')
  if known == call and word ~= ARGV[5] then return '0' end
  is_known, count = is_known or known == call, count + 1
end

if not is_known then
  local line = call .. ' ' .. ARGV[5] .. ' ' .. ARGV[6]
  redis.call('HSET', key, 'decisions', h[2] and (h[2] .. '\n' .. line) or line)
  count = count + 1
end
-- A thread that still runs sees it when it is given back.
if h[3] and count > tonumber(h[4] or 0) and redis.call('ZSCORE', p .. ':held', thread) then
  rearm(thread, now)
  redis.call('ZREM', p .. ':held', thread)
  redis.call('HDEL', key, 'approval')
end
return '1'
