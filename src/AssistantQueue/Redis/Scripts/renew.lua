--[[
Extend a worker's leases, of runs and of deliveries, and its own record. An ended lease that nobody has claimed is extended too,
and of what Redis lost with its data nobody else can be the owner: such a run goes on, so that its reply reaches at least this host's handlers.
Says what is due next besides: each worker renews at each third of a lease, so it learns in time when the leases of others end.
KEYS[1]  p:due    ZSET  thread -> time from which any worker may claim it
KEYS[2]  p:guard  -     never exists
ARGV[1]  partitions
ARGV[2]  worker
ARGV[3]  lease, ms
ARGV[4]  number of leases, then for each: 'run' | 'delivery', thread, fence
Returns  { next look in ms or -1, next delivery in ms or -1, then for each lease '1' extended, followed by what newer messages want of a run ('I', 'S') | '0' somebody else's now … }
Writes   p:workers, p:leases, p:deliveries
]]
--@include partition
--@include next-due
local worker, ends = ARGV[2], text(now + tonumber(ARGV[3]))

-- Freeing first, so that the rest is allowed at maxmemory.
redis.call('ZREMRANGEBYSCORE', p .. ':workers', '-inf', text(now))
-- A worker that has said that it is gone has a longer record, which a renewal that was still on its way leaves alone.
if (tonumber(redis.call('ZSCORE', p .. ':workers', worker) or 0)) < tonumber(ends) then redis.call('ZADD', p .. ':workers', ends, worker) end
local function in_ms(score) return score and text(math.max(0, score - now)) or '-1' end
local answers, born = { '', '' }, redis.call('HGET', counters, 'born')
for i = 1, tonumber(ARGV[4]) do
  local kind, thread, fence = ARGV[2 + 3 * i], ARGV[3 + 3 * i], ARGV[4 + 3 * i]
  local run = kind == 'run'
  local held = redis.pcall('HMGET', p .. (run and ':thread:' or ':delivering:') .. thread, 'owner', 'fence', 'wish')
  if held[1] == worker and held[2] == fence then
    redis.call('ZADD', p .. (run and ':leases' or ':deliveries'), ends, thread)
    answers[i + 2] = '1' .. (held[3] or '')
  elseif not held.err and not held[2] and (not born or tonumber(born) > tonumber(fence)) then
    answers[i + 2] = '1'
  else
    answers[i + 2] = '0'
  end
end
answers[1], answers[2] = in_ms(next_due()), in_ms(first_score(p .. ':deliveries'))
return answers
