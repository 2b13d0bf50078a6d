--[[
Try the oldest delivery of a thread again later, only for who holds it. The thread's later ones wait behind it.
KEYS[1]  p:due    ZSET  thread -> time from which any worker may claim it
KEYS[2]  p:guard  -     never exists
ARGV[1]  partitions
ARGV[2]  thread
ARGV[3]  worker
ARGV[4]  fence
ARGV[5]  pause, ms
ARGV[6]  '1' if a handler failed: counted
Returns  '1' postponed, '0' somebody else's now
Writes   p:deliveries, p:delivering:<thread>
]]
--@include partition
local thread = ARGV[2]
local holding = p .. ':delivering:' .. thread
local held = redis.call('HMGET', holding, 'owner', 'fence')
if held[1] ~= ARGV[3] or held[2] ~= ARGV[4] then return '0' end

redis.call('HDEL', holding, 'owner', 'fence')
redis.call('HINCRBY', holding, 'tries', tonumber(ARGV[6]))
redis.call('ZADD', p .. ':deliveries', text(now + tonumber(ARGV[5])), thread)
return '1'
