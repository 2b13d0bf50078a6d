--[[
List failed batches, newest first.
KEYS[1]  p:due    ZSET  thread -> time from which any worker may claim it
KEYS[2]  p:guard  -     never exists
ARGV[1]  partitions
ARGV[2]  score and batch id after which to go on: unix ms, or '+inf' to begin
ARGV[3]  how many with exactly that score were seen already
ARGV[4]  most batches
Returns  { score, failed batch as JSON, … }
Writes   nothing
]]
--@include partition
local index = p .. ':failed'
local found = redis.call('ZREVRANGEBYSCORE', index, ARGV[2], '-inf', 'WITHSCORES', 'LIMIT', tonumber(ARGV[3]), tonumber(ARGV[4]))
local result = {}
for i = 1, #found, 2 do
  result[#result + 1] = found[i + 1]
  result[#result + 1] = redis.call('HGET', index .. ':' .. found[i], 'body') or ''
end
return result
