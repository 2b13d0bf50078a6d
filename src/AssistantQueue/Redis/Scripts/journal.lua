--[[
Write what the owner has noted about its run, and what changed in the conversation, only for the owner.
KEYS[1]  p:due    ZSET  thread -> time from which any worker may claim it
KEYS[2]  p:guard  -     never exists
ARGV[1]  partitions
ARGV[2]  thread
ARGV[3]  worker
ARGV[4]  fence
ARGV[5]  batch
ARGV[6]  journal
ARGV[7]  '1' if another process can go on with the run
ARGV[8]  how long the conversation is kept, ms; 0 for ever
ARGV[9]  revision, which grows with each write of an owner: one that arrives late changes nothing
ARGV[10] conversation changes: a count, then triples '+' name value | '-' name ''
Returns  '1' written, '0' somebody else's now, '-1' Redis has lost its data
Writes   p:thread:<thread>, p:conversation:<thread>
]]
--@include partition
--@include owned
--@include put
--@include conversation
local thread = ARGV[2]
local mine = owned(thread, ARGV[3], ARGV[4], ARGV[5])
if mine ~= 1 then return text(mine) end

local key = p .. ':thread:' .. thread
-- A cut connection can deliver an old call behind a newer one.
if tonumber(redis.call('HGET', key, 'revision') or 0) >= tonumber(ARGV[9]) then return '1' end
redis.call('HDEL', key, 'adoptable')
-- The conversation that the journal speaks of is known first.
write_conversation(thread, 10, tonumber(ARGV[8]))
-- What was noted may be posted: the range stays sealed until a finish says otherwise.
redis.call('HSET', key, 'journal', ARGV[6], 'adoptable', ARGV[7], 'posted', '1', 'revision', ARGV[9])
return '1'
