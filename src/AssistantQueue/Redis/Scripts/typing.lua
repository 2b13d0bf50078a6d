--[[
Hold a waiting thread back because its user is typing: as if a message had come now, but not beyond the longest delay.
KEYS[1]  p:due    ZSET  thread -> time from which any worker may claim it
KEYS[2]  p:guard  -     never exists
ARGV[1]  partitions
ARGV[2]  thread
ARGV[3]  message delay, ms
ARGV[4]  longest message delay, ms
Returns  '1' held back, '0' nothing waits that could be
Writes   p:due
]]
--@include partition
--@include entry
local thread = ARGV[2]
local due = tonumber(redis.call('ZSCORE', KEYS[1], thread))
-- What is due already, runs, rests or pauses is not held back.
if not due or due <= now or redis.call('EXISTS', p .. ':thread:' .. thread) == 1 then return '0' end
local first = header(redis.call('LINDEX', p .. ':messages:' .. thread, 0) or '')
if not first then return '0' end
local want = math.min(now + tonumber(ARGV[3]), math.floor(first / 1000) + tonumber(ARGV[4]))
if want <= due then return '0' end
redis.call('ZADD', KEYS[1], text(want), thread)
return '1'
