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
ARGV[11] '1' to hold the thread back: written by a newer version; 'a': tool calls wait for approval;
         or a newer message wants to interrupt it: then it is due at once;
         'i' not to hold it: a newer message interrupted the run, so its range is sealed anew together with the newer ones, never shorter
ARGV[12] with 'a': how many decisions the worker knows; with more in the store the thread is due at once
ARGV[13] with 'a' and 'i': how long watchers can come back to it once it may be claimed again, ms
ARGV[14] with 'a': the calls that wait as JSON, with 'i': where the run's text that is told begins, a blank and the text; else ''
ARGV[15] last sequence number that the owner knows of, or '' for all that is sealed
Returns  '1' written, '0' somebody else's now, '-1' Redis has lost its data
Writes   p:leases, p:thread:<thread>, p:due, p:suspects or p:held, p:counters, p:request:<id>,
         p:events:<thread>
Tells    with 'a' and 'i': watchers
]]
--@include partition
--@include entry
--@include sets
--@include owned
--@include range
--@include wake
--@include rearm
--@include stamp
--@include put
--@include announce
--@include event
local request = p .. ':request:' .. ARGV[2]
local known = redis.call('GET', request)
if known then return known end
local thread, worker = ARGV[4], ARGV[5]
local mine = owned(thread, worker, ARGV[6], ARGV[7])
if mine ~= 1 then return text(mine) end

--@include freeing
local key = p .. ':thread:' .. thread
local h = redis.call('HMGET', key, 'decisions', 'wish')
local first, last, count, sealed = owned_range(thread, ARGV[15])
if ARGV[9] ~= '' then redis.call('HSET', key, 'journal', ARGV[9]) end
redis.call('HSET', key, 'posted', ARGV[11] == 'i' and 'i' or ARGV[10], 'resumed', '1', 'last', text(last), 'count', text(count))
local from = now + tonumber(ARGV[8])
local function tell(kind, stamp)
  local line = update(stamp, kind, ARGV[7], first, last, 0, '-', ARGV[14])
  keep_event(thread, line, text(tonumber(ARGV[13]) + tonumber(ARGV[8])))
  announce(thread, line)
end
if ARGV[11] == 'i' then
  redis.call('HDEL', key, 'wish')
  tell('I', stamp_of(thread, ARGV[6], last))
end
local _, decided = string.gsub(h[1] or '', '[^\n]+', '')
local overtaken = string.find(h[2] or '', 'I', 1, true)
local approval = ARGV[11] == 'a' and decided <= tonumber(ARGV[12]) and not overtaken
if ARGV[11] == '1' or approval then
  redis.call('HDEL', key, 'owner', 'token', 'adoptable')
  redis.call('ZADD', p .. ':held', text(from), thread)
  if approval then
    local stamp = stamp_of(thread, ARGV[6], last)
    redis.call('HSET', key, 'approval', text(stamp), 'decided', text(decided))
    tell('P', stamp)
  end
elseif ARGV[11] == 'a' then
  rearm(thread, now, worker)
else
  rearm(thread, from, worker)
end
redis.call('ZREM', p .. ':leases', thread)
redis.call('HINCRBY', counters, 'active', 0 - sealed)
redis.call('SET', request, '1', 'PX', ARGV[3])
return '1'
