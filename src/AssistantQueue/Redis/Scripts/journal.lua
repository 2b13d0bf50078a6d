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
ARGV[9]  conversation changes: a count, then triples '+' name value | '-' name ''
Returns  '1' written, '0' somebody else's now, '-1' Redis has lost its data
Writes   p:thread:<thread>, p:conversation:<thread>
]]
--@include partition
--@include owned
--@include conversation
local thread = ARGV[2]
local mine = owned(thread, ARGV[3], ARGV[4], ARGV[5])
if mine ~= 1 then return text(mine) end

redis.call('HDEL', p .. ':thread:' .. thread, 'adoptable')
redis.call('HSET', p .. ':thread:' .. thread, 'journal', ARGV[6], 'adoptable', ARGV[7])
write_conversation(thread, 9, tonumber(ARGV[8]))
return '1'
