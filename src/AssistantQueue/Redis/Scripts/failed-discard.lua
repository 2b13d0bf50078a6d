--[[
Forget a failed batch for good.
KEYS[1]  p:due    ZSET  thread -> time from which any worker may claim it
KEYS[2]  p:guard  -     never exists
ARGV[1]  partitions
ARGV[2]  batch
Returns  '1' forgotten, '-1' no such batch
Writes   p:failed, p:failed:<batch>, p:counters
]]
--@include partition
local key = p .. ':failed:' .. ARGV[2]
if redis.call('ZREM', p .. ':failed', ARGV[2]) == 0 then return '-1' end
local count = tonumber(redis.call('HGET', key, 'count') or 0)
redis.call('DEL', key)
redis.call('HINCRBY', counters, 'failed', 0 - count)
return '1'
