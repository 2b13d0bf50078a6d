--[[
Give a batch up, or its oldest messages: move them to the failed store and let the thread go on.
KEYS[1]  p:due    ZSET  thread -> time from which any worker may claim it
KEYS[2]  p:guard  -     never exists
ARGV[1]  partitions
ARGV[2]  request id: a repeated call gives the first call's outcome
ARGV[3]  how long the outcome is kept, ms
ARGV[4]  thread
ARGV[5]  worker
ARGV[6]  fence
ARGV[7]  batch
ARGV[8]  last sequence number that fails, or '' for the whole batch
ARGV[9]  the failed batch as JSON
ARGV[10] kind of failure
ARGV[11] '1' to deliver
ARGV[12] how long replies and failures are kept for callers that wait, ms
ARGV[13] how long conversations are kept, ms; 0 for ever
ARGV[14] how long failed batches are kept, ms
ARGV[15] journal, or '' to keep the stored one with the failed batch
ARGV[16] last sequence number that the owner knows of, or '' for all that is sealed
ARGV[17] conversation changes: a count, then triples '+' name value | '-' name ''
Returns  '1' written, '0' somebody else's now, '-1' Redis has lost its data
Writes   p:leases, p:messages:<thread>, p:thread:<thread>, p:conversation:<thread>, p:replies:<thread>, p:due or p:suspects,
         p:deliveries, p:delivery:<thread>, p:events:<thread> (its end only), p:failed, p:failed:<batch>, p:counters, p:request:<id>
]]
--@include partition
--@include entry
--@include sets
--@include owned
--@include range
--@include remove
--@include attempts
--@include put
--@include conversation
--@include outcome
--@include trim
--@include record
--@include wake
--@include rearm
--@include stamp
--@include announce
--@include start
local request = p .. ':request:' .. ARGV[2]
local known = redis.call('GET', request)
if known then return known end
local thread, worker, fence, batch = ARGV[4], ARGV[5], ARGV[6], ARGV[7]
local mine = owned(thread, worker, fence, batch)
if mine ~= 1 then return text(mine) end

local key, messages = p .. ':thread:' .. thread, p .. ':messages:' .. thread
local h = redis.call('HMGET', key, 'attempts', 'journal', 'began')
local first, last, owned_count, sealed = owned_range(thread, ARGV[16])
local tried = last
local part = ARGV[8] ~= '' and tonumber(ARGV[8]) < last
if part then last = tonumber(ARGV[8]) end
local count = part and count_through(thread, owned_count, last) or owned_count
local entries, places, before = {}, {}, 0
for _, entry in ipairs(count > 0 and redis.pcall('LRANGE', messages, 0, count - 1) or {}) do
  local sequence = header(entry) or before
  if sequence > last then break end
  entries[#entries + 1] = entry
  places[#places + 1] = text(sequence - before)
  before = sequence
end

--@include freeing
-- The failure before its messages go, the lease after the next due time is set.
local stamp = stamp_of(thread, fence, last)
local run = table.concat({ fence, began_of(h[3], tried) }, ' ')
keep_outcome(thread, stamp, 'f', first, last, batch, run, #places > 0 and table.concat(places, ',') or '-', ARGV[9], ARGV[12], ARGV[11])
local gone = record('failed', batch, thread, ARGV[10], count, ARGV[9], table.concat(entries, '\n'), tonumber(ARGV[14]), 10000)
redis.call('HSET', p .. ':failed:' .. batch, 'first', text(first), 'last', text(last), 'journal', ARGV[15] ~= '' and ARGV[15] or h[2] or '')
write_conversation(thread, 17, tonumber(ARGV[13]))
local left = remove(thread, last, count)
-- What can't be read was not run: the messages behind it have lost no attempt.
local attempts = attempts_after(ARGV[10] == 'Corrupt' and (h[1] or '') or count_attempt(h[1], text(tried)), last)
if left > 0 and attempts ~= '' then
  -- Newer messages that had joined: their own attempts are not used up.
  redis.call('HDEL', key, 'batch', 'first', 'last', 'count', 'journal', 'errors', 'posted', 'deaths', 'began')
  redis.call('HSET', key, 'attempts', attempts, 'resumed', '0')
  rearm(thread, now, worker)
else
  if left > 0 then
    redis.call('ZADD', KEYS[1], text(now), thread)
    wake(now, worker)
  end
  redis.call('DEL', key)
end
redis.call('ZREM', p .. ':leases', thread)
redis.call('HINCRBY', counters, 'pending', 0 - count)
redis.call('HINCRBY', counters, 'active', 0 - sealed)
redis.call('HINCRBY', counters, 'failed', count - gone)
announce_outcome(thread, update(stamp, 'F', batch, first, last, 0))
redis.call('SET', request, '1', 'PX', ARGV[3])
return '1'
