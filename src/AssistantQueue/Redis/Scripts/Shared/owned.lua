-- Whether the caller owns the thread: 1 yes, 0 it is somebody else's, -1 Redis has lost its data since the claim.
local function owned(thread, worker, fence, batch)
  local held = redis.pcall('HMGET', p .. ':thread:' .. thread, 'owner', 'fence', 'batch')
  if held[1] == worker and held[2] == fence and held[3] == batch then return 1 end
  -- A primary that became a replica an instant ago may not know the claim: it refuses this write, and the call is repeated elsewhere.
  redis.call('DEL', KEYS[2])
  local born = redis.call('HGET', counters, 'born')
  if not born or tonumber(born) > tonumber(fence) then return -1 end
  return 0
end
