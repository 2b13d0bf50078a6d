--[[
Give a thread back without counting an attempt: its worker stops, or the API can't take the batch now.
KEYS[1]  p:due    ZSET  thread -> time from which any worker may claim it
KEYS[2]  p:guard  -     never exists
ARGV[1]  partitions
ARGV[2]  request id: a repeated call gives the first call's outcome
ARGV[3]  how long the outcome is kept, ms
ARGV[4]  thread
ARGV[5]  worker
ARGV[6]  fence
ARGV[7]  batch
ARGV[8]  how long nobody may claim it, ms
ARGV[9]  journal, or '' to leave the stored one
ARGV[10] '1' if the API has messages of the batch, or may have: its range then stays sealed
ARGV[11] '1' to hold the thread back: written by a newer version
Returns  '1' written, '0' somebody else's now, '-1' Redis has lost its data
Writes   p:leases, p:thread:<thread>, p:due, p:suspects or p:held, p:counters, p:request:<id>
]]
--@include partition
--@include sets
--@include owned
--@include wake
--@include rearm
local request = p .. ':request:' .. ARGV[2]
local known = redis.call('GET', request)
if known then return known end
local thread, worker = ARGV[4], ARGV[5]
local mine = owned(thread, worker, ARGV[6], ARGV[7])
if mine ~= 1 then return text(mine) end

local key = p .. ':thread:' .. thread
redis.call('ZREM', p .. ':leases', thread)
local count = tonumber(redis.call('HGET', key, 'count'))
if ARGV[9] ~= '' then redis.call('HSET', key, 'journal', ARGV[9]) end
redis.call('HSET', key, 'posted', ARGV[10], 'resumed', '1')
local from = now + tonumber(ARGV[8])
if ARGV[11] == '1' then
  redis.call('HDEL', key, 'owner', 'token', 'adoptable')
  redis.call('ZADD', p .. ':held', text(from), thread)
else
  rearm(thread, from, worker)
end
redis.call('HINCRBY', counters, 'active', 0 - count)
redis.call('SET', request, '1', 'PX', ARGV[3])
return '1'
