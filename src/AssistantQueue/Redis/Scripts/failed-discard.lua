--[[
Forget a failed batch for good.
KEYS[1]  p:due    ZSET  thread -> time from which any worker may claim it
KEYS[2]  p:guard  -     never exists
ARGV[1]  partitions
ARGV[2]  request id: a repeated call gives the first call's outcome
ARGV[3]  how long the outcome is kept, ms
ARGV[4]  batch
Returns  '1' forgotten, '-1' no such batch
Writes   p:failed, p:failed:<batch>, p:counters, p:request:<id>
]]
--@include partition
local request = p .. ':request:' .. ARGV[2]
local known = redis.call('GET', request)
if known then return known end
local key = p .. ':failed:' .. ARGV[4]
if not redis.call('ZSCORE', p .. ':failed', ARGV[4]) then return '-1' end
local count = tonumber(redis.call('HGET', key, 'count') or 0)
redis.call('DEL', key)
redis.call('ZREM', p .. ':failed', ARGV[4])
redis.call('HINCRBY', counters, 'failed', 0 - count)
redis.call('SET', request, '1', 'PX', ARGV[3])
return '1'
