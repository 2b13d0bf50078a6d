--[[
Read one failed batch whole.
KEYS[1]  p:due    ZSET  thread -> time from which any worker may claim it
KEYS[2]  p:guard  -     never exists
ARGV[1]  partitions
ARGV[2]  batch
Returns  { failed batch as JSON, stored messages a line each, journal, '1' if it is a delivery }, or {} when it isn't there
Writes   nothing
]]
--@include partition
local h = redis.call('HMGET', p .. ':failed:' .. ARGV[2], 'body', 'messages', 'journal', 'kind')
if not h[1] then return {} end
return { h[1], h[2] or '', h[3] or '', h[4] == 'Delivery' and '1' or '0' }
