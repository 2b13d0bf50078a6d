--[[
Forget a worker that stops: nobody wakes it, another one keeps the time, and when it is gone nobody takes its end for a death.
KEYS[1]  p:due    ZSET  thread -> time from which any worker may claim it
KEYS[2]  p:guard  -     never exists
ARGV[1]  partitions
ARGV[2]  worker
ARGV[3]  '1' it is gone; '0' it claims nothing any more, but its runs still end: should it die with one, that is a death as before
Returns  '1'
Writes   p:idle, p:workers
Tells    the next timekeeper when something is due
]]
--@include partition
--@include wake
--@include next-due
redis.call('ZREM', p .. ':idle', ARGV[2])
-- Its record outlives whatever leases it leaves behind: a missing one would be taken for a death.
if ARGV[3] == '1' then redis.call('ZADD', p .. ':workers', text(now + 1200000), ARGV[2]) end
local earliest = next_due()
if earliest then wake(earliest, ARGV[2]) end
return '1'
