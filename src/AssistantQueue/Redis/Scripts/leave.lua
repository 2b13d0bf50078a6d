--[[
Forget a worker that stops: nobody wakes it, nobody takes its end for a death, and another one keeps the time.
KEYS[1]  p:due    ZSET  thread -> time from which any worker may claim it
KEYS[2]  p:guard  -     never exists
ARGV[1]  partitions
ARGV[2]  worker
Returns  '1'
Writes   p:idle, p:workers
]]
--@include partition
--@include wake
redis.call('ZREM', p .. ':idle', ARGV[2])
-- Its record outlives whatever leases it leaves behind: a missing one would be taken for a death.
redis.call('ZADD', p .. ':workers', text(now + 1200000), ARGV[2])
local earliest = tonumber(redis.call('ZRANGE', KEYS[1], 0, 0, 'WITHSCORES')[2])
if earliest then wake(earliest, ARGV[2]) end
return '1'
