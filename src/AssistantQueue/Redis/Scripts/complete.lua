--[[
Finish answered batches: remove exactly their messages, keep their replies, open their deliveries, re-arm threads with newer messages.
KEYS[1]  p:due    ZSET  thread -> time from which any worker may claim it
KEYS[2]  p:guard  -     never exists
ARGV[1]  partitions
ARGV[2]  request id: a repeated call gives the first call's outcome
ARGV[3]  how long the outcome is kept, ms
ARGV[4]  how long replies are kept, ms
ARGV[5]  how long conversations are kept, ms; 0 for ever
ARGV[6]  how long completed batches are kept, ms
ARGV[7]  number of batches, then for each: thread, worker, fence, batch, reply, '1' to deliver, '1' to keep the batch,
         the messages' sequence numbers, each as its distance from the one before, with commas, or '-',
         last sequence number that the owner knows of, or '' for all that is sealed,
         conversation changes: a count, then triples '+' name value | '-' name ''
Returns  a word a batch: 1 written, 0 somebody else's now, -1 Redis has lost its data
Writes   p:leases, p:messages:<thread>, p:thread:<thread>, p:conversation:<thread>, p:replies:<thread>, p:due,
         p:deliveries, p:delivery:<thread>, p:events:<thread> (its end only), p:completed, p:completed:<batch>, p:counters, p:request:<id>
Tells    watchers and those who wait for a reply; a worker, when newer messages are due
]]
--@include partition
--@include entry
--@include attempts
--@include sets
--@include owned
--@include range
--@include remove
--@include put
--@include conversation
--@include outcome
--@include trim
--@include record
--@include stamp
--@include wake
--@include announce
--@include start
local request = p .. ':request:' .. ARGV[2]
local known = redis.call('GET', request)
if known then return known end

local batches, words, seen, at = {}, {}, {}, 8
for i = 1, tonumber(ARGV[7]) do
  local mine = seen[ARGV[at]] and 0 or owned(ARGV[at], ARGV[at + 1], ARGV[at + 2], ARGV[at + 3])
  seen[ARGV[at]] = mine == 1
  words[i] = text(mine)
  if mine == 1 then batches[#batches + 1] = at end
  at = skip_conversation(at + 9)
end
local outcome = table.concat(words, ' ')

--@include freeing
local answered, ran, goes_on = 0, 0, nil
for _, a in ipairs(batches) do
  local thread, fence, batch, reply = ARGV[a], ARGV[a + 2], ARGV[a + 3], ARGV[a + 4]
  local h = redis.call('HMGET', p .. ':thread:' .. thread, 'began', 'attempts')
  local first, last, count, sealed = owned_range(thread, ARGV[a + 8])
  local messages = ARGV[a + 6] == '1' and table.concat(count > 0 and redis.pcall('LRANGE', p .. ':messages:' .. thread, 0, count - 1) or {}, '\n')
  local stamp = stamp_of(thread, fence, last)
  -- The reply before its messages go, the lease after the next due time is set.
  keep_outcome(thread, stamp, 'r', first, last, batch, table.concat({ fence, began_of(h[1], last) }, ' '), ARGV[a + 7], reply,
    ARGV[4], ARGV[a + 5])
  if messages then record('completed', batch, thread, 'reply', count, reply, messages, tonumber(ARGV[6]), 1000) end
  write_conversation(thread, a + 9, tonumber(ARGV[5]))
  local left = remove(thread, last, count)
  if left > 0 then redis.call('ZADD', KEYS[1], text(now), thread) end
  if left > 0 then goes_on = ARGV[a + 1] end
  redis.call('DEL', p .. ':thread:' .. thread)
  -- Newer messages that had joined an earlier run of the batch, before an operator retried it.
  local attempts = left > 0 and attempts_after(h[2], last) or ''
  if attempts ~= '' then redis.call('HSET', p .. ':thread:' .. thread, 'attempts', attempts) end
  redis.call('ZREM', p .. ':leases', thread)
  answered, ran = answered + count, ran + sealed
  announce_outcome(thread, update(stamp, 'A', batch, first, last, 0))
end
if #batches > 0 then
  redis.call('HINCRBY', counters, 'pending', 0 - answered)
  redis.call('HINCRBY', counters, 'active', 0 - ran)
  redis.call('HINCRBY', counters, 'completed', answered)
end
-- The worker that finishes looks as well, unless it stops, pauses or is full. One is enough: who claims wakes the next for the rest.
if goes_on then wake(now, goes_on) end
if #batches > 0 then redis.call('SET', request, outcome, 'PX', ARGV[3]) end
return outcome
