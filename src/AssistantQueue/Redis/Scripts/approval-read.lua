--[[
Read the batch of a thread whose tool calls wait for approval, or are decided already.
KEYS[1]  p:due    ZSET  thread -> time from which any worker may claim it
KEYS[2]  p:guard  -     never exists
ARGV[1]  partitions
ARGV[2]  thread
Returns  { batch, journal, decisions } or {} when the thread has no batch
Writes   nothing
]]
--@include partition
local h = redis.call('HMGET', p .. ':thread:' .. ARGV[2], 'batch', 'journal', 'decisions')
if not h[1] then return {} end
return { h[1], h[2] or '', h[3] or '' }
