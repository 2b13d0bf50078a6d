--[[
Count a failed attempt; the batch keeps its place in the thread and is due again after the pause.
KEYS[1]  p:due    ZSET  thread -> time from which any worker may claim it
KEYS[2]  p:guard  -     never exists
ARGV[1]  partitions
ARGV[2]  request id: a repeated call gives the first call's outcome
ARGV[3]  how long the outcome is kept, ms
ARGV[4]  thread
ARGV[5]  worker
ARGV[6]  fence
ARGV[7]  batch
ARGV[8]  pause, ms
ARGV[9]  the attempt's error as JSON
ARGV[10] journal
ARGV[11] '1' if the API has messages of the batch, or may have: its range then stays sealed
ARGV[12] how long watchers can come back to it once it is due again, ms
ARGV[13] last sequence number that the owner knows of, or '' for all that is sealed
Returns  '1' written, '0' somebody else's now, '-1' Redis has lost its data
Writes   p:leases, p:thread:<thread>, p:due or p:suspects, p:counters, p:request:<id>,
         p:events:<thread>
]]
--@include partition
--@include entry
--@include sets
--@include owned
--@include range
--@include wake
--@include rearm
--@include attempts
--@include stamp
--@include put
--@include announce
--@include event
local request = p .. ':request:' .. ARGV[2]
local known = redis.call('GET', request)
if known then return known end
local thread, worker, fence, batch = ARGV[4], ARGV[5], ARGV[6], ARGV[7]
local mine = owned(thread, worker, fence, batch)
if mine ~= 1 then return text(mine) end

--@include freeing
local key = p .. ':thread:' .. thread
local h = redis.call('HMGET', key, 'attempts', 'errors')
local first, last, count, sealed = owned_range(thread, ARGV[13])
local errors = h[2] and (h[2] .. '\n' .. ARGV[9]) or ARGV[9]
local from = now + tonumber(ARGV[8])
rearm(thread, from, worker)
redis.call('HSET', key, 'journal', ARGV[10], 'posted', ARGV[11], 'attempts', count_attempt(h[1], text(last)),
  'errors', errors, 'resumed', '0', 'last', text(last), 'count', text(count))
redis.call('ZREM', p .. ':leases', thread)
redis.call('HINCRBY', counters, 'active', 0 - sealed)
local line = update(stamp_of(thread, fence, last), 'T', batch, first, last, from)
-- Until the next run keeps its own.
keep_event(thread, line, text(tonumber(ARGV[12]) + tonumber(ARGV[8])))
announce(thread, line)
redis.call('SET', request, '1', 'PX', ARGV[3])
return '1'
