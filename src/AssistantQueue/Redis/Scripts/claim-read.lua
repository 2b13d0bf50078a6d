--[[
Read a sealed batch's messages. A script, because some servers end a connection that reads a list while a script writes it.
KEYS[1]  p:due    ZSET  thread -> time from which any worker may claim it
KEYS[2]  p:guard  -     never exists
ARGV[1]  partitions
ARGV[2]  thread
ARGV[3]  number of messages
Returns  { stored message … }
Writes   nothing
]]
--@include partition
return redis.call('LRANGE', p .. ':messages:' .. ARGV[2], 0, tonumber(ARGV[3]) - 1)
