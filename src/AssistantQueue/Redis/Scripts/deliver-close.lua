--[[
End the oldest delivery of a thread, only for who holds it: taken by the handlers, or moved to the failed store.
KEYS[1]  p:due    ZSET  thread -> time from which any worker may claim it
KEYS[2]  p:guard  -     never exists
ARGV[1]  partitions
ARGV[2]  thread
ARGV[3]  worker
ARGV[4]  fence
ARGV[5]  batch
ARGV[6]  '' if taken, else the failed delivery as JSON
ARGV[7]  how long failed batches are kept, ms
Returns  '1' closed, '0' somebody else's now
Writes   p:delivery:<thread>, p:deliveries, p:delivering:<thread>, p:failed, p:failed:<batch>, p:counters
]]
--@include partition
--@include trim
--@include record
local thread, batch = ARGV[2], ARGV[5]
local list, holding = p .. ':delivery:' .. thread, p .. ':delivering:' .. thread
local held = redis.call('HMGET', holding, 'owner', 'fence')
local head = redis.call('LINDEX', list, 0)
if held[1] ~= ARGV[3] or held[2] ~= ARGV[4] or not head or string.match(head, '^%S+') ~= batch then return '0' end

--@include freeing
if ARGV[6] ~= '' and not redis.call('ZSCORE', p .. ':failed', batch) then
  -- The messages are answered or given up already, so none is counted a second time.
  redis.call('HSET', p .. ':failed:' .. batch, 'delivery', head)
  local gone = record('failed', batch, thread, 'Delivery', 0, ARGV[6], '', tonumber(ARGV[7]), 10000)
  redis.call('HINCRBY', counters, 'failed', 0 - gone)
end
redis.call('LPOP', list)
redis.call('DEL', holding)
if redis.call('LLEN', list) > 0 then
  redis.call('ZADD', p .. ':deliveries', text(now), thread)
else
  redis.call('ZREM', p .. ':deliveries', thread)
end
return '1'
