--[[
Read what is kept of a thread: outcomes, the batch that runs, the messages that wait behind it.
KEYS[1]  p:due    ZSET  thread -> time from which any worker may claim it
KEYS[2]  p:guard  -     never exists
ARGV[1]  partitions
ARGV[2]  thread
ARGV[3]  most messages
Returns  { now in µs, { outcome as kept … }, { fence, batch, first, last, attempts, owner } or {}, { stored message … },
           { stamp, batch, first, last, journal } or {} when tool calls wait for approval, { event as told … } }
Writes   nothing
]]
--@include partition
local thread = ARGV[2]
local batch = {}
if redis.call('ZSCORE', p .. ':leases', thread) then
  local h = redis.call('HMGET', p .. ':thread:' .. thread, 'fence', 'batch', 'first', 'last', 'attempts', 'owner')
  if h[1] then batch = { h[1], h[2], h[3], h[4], h[5] or '', h[6] or '' } end
end
local approval = {}
if redis.call('ZSCORE', p .. ':held', thread) then
  local h = redis.call('HMGET', p .. ':thread:' .. thread, 'approval', 'batch', 'first', 'last', 'journal')
  if h[1] then approval = { h[1], h[2], h[3], h[4], h[5] or '' } end
end
return { text(now_us), redis.call('LRANGE', p .. ':replies:' .. thread, 0, -1), batch,
  redis.call('LRANGE', p .. ':messages:' .. thread, 0, tonumber(ARGV[3]) - 1), approval,
  redis.call('LRANGE', p .. ':events:' .. thread, 0, -1) }
