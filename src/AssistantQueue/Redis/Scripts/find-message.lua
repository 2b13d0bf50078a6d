--[[
Find the place of a message by the id that the app gave.
KEYS[1]  p:due    ZSET  thread -> time from which any worker may claim it
KEYS[2]  p:guard  -     never exists
ARGV[1]  partitions
ARGV[2]  thread
ARGV[3]  message id
Returns  sequence:due, or '' when it isn't remembered
Writes   nothing
]]
--@include partition
--@include message-id
return redis.call('GET', message_id(ARGV[2], ARGV[3])) or ''
