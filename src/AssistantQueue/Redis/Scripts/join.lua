--[[
Let messages that arrived during a run join its batch: those behind the sealed range that ask for it, up to the first that doesn't,
doesn't fit, or isn't of this version.
KEYS[1]  p:due    ZSET  thread -> time from which any worker may claim it
KEYS[2]  p:guard  -     never exists
ARGV[1]  partitions
ARGV[2]  thread
ARGV[3]  worker
ARGV[4]  fence
ARGV[5]  batch
ARGV[6]  how many messages of the batch the worker has: a repeated call gives the same ones again
ARGV[7]  most messages of a batch
ARGV[8]  most characters of a batch
ARGV[9]  how long watchers can come back to it, ms
ARGV[10] revision, which grows with each write of an owner: one that arrives behind a newer journal changes nothing
Returns  { '1' | '0' somebody else's now | '-1' Redis has lost its data, stored message … }
Writes   p:thread:<thread>, p:counters, p:events:<thread>
Tells    watchers
]]
--@include partition
--@include entry
--@include owned
--@include stamp
--@include put
--@include announce
--@include event
local thread = ARGV[2]
local mine = owned(thread, ARGV[3], ARGV[4], ARGV[5])
if mine ~= 1 then return { text(mine) } end

--@include freeing
local key, messages = p .. ':thread:' .. thread, p .. ':messages:' .. thread
-- Its caller has gone on without these messages; they wait for the next run.
if tonumber(redis.call('HGET', key, 'revision') or 0) > tonumber(ARGV[10]) then return { '1' } end
local has, most, max_characters = tonumber(ARGV[6]), tonumber(ARGV[7]), tonumber(ARGV[8])
local count = tonumber(redis.call('HGET', key, 'count'))
local _, first_sum, first_characters = header(redis.call('LINDEX', messages, 0) or '')
local base = first_sum and first_sum - first_characters
local lines, through, first, last = { '1' }, count, nil, nil
for i, line in ipairs(redis.call('LRANGE', messages, has, most - 1)) do
  local place = has + i
  if place > count then
    -- The body of such a message begins with this word, wherever else it may stand; of a newer version's its version comes next.
    local sequence, sum = header(line)
    if not sequence or not base or sum - base > max_characters then break end
    if not string.find(line, '^%d+ %d+ %d+ {"busy":"steer","id":".*}$') then break end
    through, first, last = place, first or sequence, sequence
  end
  lines[#lines + 1] = line
end

if last then
  redis.call('HSET', key, 'last', text(last), 'count', text(through), 'posted', '1')
  redis.call('HINCRBY', counters, 'active', through - count)
  local line = update(stamp_of(thread, ARGV[4], last), 'J', ARGV[5], first, last, 0)
  keep_event(thread, line, ARGV[9])
  announce(thread, line)
end
local wish = string.gsub(redis.call('HGET', key, 'wish') or '', 'S', '')
redis.call('HSET', key, 'wish', wish)
return lines
