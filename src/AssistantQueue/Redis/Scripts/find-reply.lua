--[[
Look for the reply or failure of the batch that held a message.
KEYS[1]  p:due    ZSET  thread -> time from which any worker may claim it
KEYS[2]  p:guard  -     never exists
ARGV[1]  partitions
ARGV[2]  thread
ARGV[3]  sequence number
Returns  'r' or 'f', a blank and the JSON; 'p' while it waits; 'u' when it is neither waiting nor kept
Writes   nothing
]]
--@include partition
--@include entry
local thread, sequence = ARGV[2], tonumber(ARGV[3])
local kept = redis.call('LRANGE', p .. ':replies:' .. thread, 0, -1)
for i = #kept, 1, -1 do
  local kind, first, last, body = string.match(kept[i], '^%d+ (%a) (%d+) (%d+) %S+ %d+ %d+ %d+ %S+ (.*)$')
  if kind and tonumber(first) <= sequence and sequence <= tonumber(last) then return kind .. ' ' .. body end
end
local tail = redis.call('LINDEX', p .. ':messages:' .. thread, -1)
local head = tail and redis.call('LINDEX', p .. ':messages:' .. thread, 0)
if tail and (header(head) or sequence) <= sequence and sequence <= (header(tail) or sequence) then return 'p' end
-- A primary that became a replica an instant ago may not have it yet: it refuses this write, and the call is repeated elsewhere.
redis.call('DEL', KEYS[2])
return 'u'
