--[[
Replace the messages of a failed batch, if they are still those that were read.
KEYS[1]  p:due    ZSET  thread -> time from which any worker may claim it
KEYS[2]  p:guard  -     never exists
ARGV[1]  partitions
ARGV[2]  batch
ARGV[3]  stored messages as read
ARGV[4]  stored messages to keep instead
Returns  '1' written, '0' somebody else changed them, '-1' no such batch
Writes   p:failed:<batch>
]]
--@include partition
local key = p .. ':failed:' .. ARGV[2]
local messages = redis.call('HGET', key, 'messages')
if not messages then return '-1' end
if messages ~= ARGV[3] then return messages == ARGV[4] and '1' or '0' end
redis.call('HSET', key, 'messages', ARGV[4])
return '1'
