--[[
Take a failed batch out of the failed store and make it its thread's next batch again: same id, same messages, same places,
attempts and deaths counted anew (newer messages that had joined an earlier run of it keep their own). A failed delivery is opened again instead.
KEYS[1]  p:due    ZSET  thread -> time from which any worker may claim it
KEYS[2]  p:guard  -     never exists
ARGV[1]  partitions
ARGV[2]  request id: a repeated call gives the first call's outcome
ARGV[3]  how long the outcome is kept, ms
ARGV[4]  batch
ARGV[5]  journal for its next run, or '' for none
Returns  '1' written, '0' the thread is busy with another batch, '-1' no such batch
Writes   p:failed, p:failed:<batch>, p:messages:<thread>, p:thread:<thread>, p:due, p:suspects, p:delivery:<thread>, p:deliveries,
         p:counters, p:request:<id>
]]
--@include partition
--@include attempts
--@include wake
local request = p .. ':request:' .. ARGV[2]
local known = redis.call('GET', request)
if known then return known end
local batch = ARGV[4]
local key = p .. ':failed:' .. batch
local h = redis.call('HMGET', key, 'thread', 'kind', 'count', 'first', 'last', 'messages', 'delivery')
local thread, last = h[1], h[5]
if not thread then return '-1' end
local delivery = h[2] == 'Delivery'
-- The sealed messages of a batch lie at the head of the list, so no other may be put before them.
if not delivery and redis.call('HEXISTS', p .. ':thread:' .. thread, 'batch') == 1 then return '0' end

--@include freeing
if delivery then
  local name, kind, body = string.match(h[7], '^(%S+) (%a) %d+ (.*)$')
  redis.call('RPUSH', p .. ':delivery:' .. thread, table.concat({ name, kind, text(now), body }, ' '))
  if not redis.call('ZSCORE', p .. ':deliveries', thread) then redis.call('ZADD', p .. ':deliveries', text(now), thread) end
else
  local messages, lines = p .. ':messages:' .. thread, {}
  for line in string.gmatch(h[6], '[^\n]+') do table.insert(lines, 1, line) end
  redis.call('ZADD', KEYS[1], text(now), thread)
  local newer = attempts_after(redis.call('HGET', p .. ':thread:' .. thread, 'attempts'), tonumber(last))
  if newer == '' then redis.call('HDEL', p .. ':thread:' .. thread, 'attempts') end
  redis.call('HSET', p .. ':thread:' .. thread, 'batch', batch, 'first', h[4], 'last', last, 'count', h[3],
    'posted', '1', 'resumed', '1', 'deaths', '0', 'journal', ARGV[5], unpack(newer ~= '' and { 'attempts', last .. ':0 ' .. newer } or {}))
  redis.call('ZREM', p .. ':suspects', thread)
  for i = 1, #lines, 500 do redis.call('LPUSH', messages, unpack(lines, i, math.min(i + 499, #lines))) end
  redis.call('HINCRBY', counters, 'pending', h[3])
  redis.call('HINCRBY', counters, 'failed', 0 - tonumber(h[3]))
  wake(now)
end
redis.call('DEL', key)
redis.call('ZREM', p .. ':failed', batch)
redis.call('SET', request, '1', 'PX', ARGV[3])
return '1'
