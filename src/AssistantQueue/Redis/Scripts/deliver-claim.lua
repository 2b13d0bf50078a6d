--[[
Take threads with an open delivery whose time has come: the oldest delivery of each, under a lease.
KEYS[1]  p:due    ZSET  thread -> time from which any worker may claim it
KEYS[2]  p:guard  -     never exists
ARGV[1]  partitions
ARGV[2]  worker
ARGV[3]  most threads
ARGV[4]  lease, ms
Returns  { now, next look in ms or -1, { thread, fence, batch, 'r' | 'f', opened, failed tries, JSON } … }
Writes   p:deliveries, p:delivering:<thread>, p:workers, p:counters; p:foreign:delivery:<thread> and p:delivery:<thread>, when what lies there
         is not the queue's
]]
--@include partition
--@include fence
--@include put
local worker, ends = ARGV[2], text(now + tonumber(ARGV[4]))
local deliveries = p .. ':deliveries'
local threads = redis.call('ZRANGEBYSCORE', deliveries, '-inf', text(now), 'LIMIT', 0, tonumber(ARGV[3]))
-- Freeing first, so that the rest is allowed at maxmemory.
redis.call('ZREMRANGEBYSCORE', p .. ':workers', '-inf', text(now))
local taken = {}
for _, thread in ipairs(threads) do
  local head, list = nil, p .. ':delivery:' .. thread
  local batch, kind, opened, body
  repeat
    head = redis.pcall('LINDEX', list, 0)
    if type(head) ~= 'string' then break end
    batch, kind, opened, body = string.match(head, '^(%S+) ([rf]) (%d+) (.*)$')
    -- Somebody else's line would stay in the way of the thread's deliveries for ever: it is moved aside.
    if not batch then
      put('RPUSH', p .. ':foreign:delivery:' .. thread, head)
      redis.call('LPOP', list)
    end
  until batch
  if type(head) ~= 'string' then
    redis.call('ZREM', deliveries, thread)
    redis.call('DEL', p .. ':delivering:' .. thread)
  else
    local fence = text(next_fence())
    redis.call('HSET', p .. ':delivering:' .. thread, 'fence', fence, 'owner', worker)
    redis.call('ZADD', deliveries, ends, thread)
    local tries = redis.call('HGET', p .. ':delivering:' .. thread, 'tries') or '0'
    taken[#taken + 1] = { thread, fence, batch, kind, opened, tries, body }
  end
end
keep_fence()
local following = tonumber(redis.call('ZRANGE', deliveries, 0, 0, 'WITHSCORES')[2])
return { text(now), following and text(math.max(0, following - now)) or '-1', unpack(taken) }
