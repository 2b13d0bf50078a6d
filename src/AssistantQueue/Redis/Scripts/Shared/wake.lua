-- Of the workers with a free slot whose records have not ended, the one that has had it for longest; with 'accepts' the first that does.
local function first_idle(except, accepts)
  -- pcall: whoever wakes has written already, and a wake-up may be lost.
  for _, worker in ipairs(redis.pcall('ZRANGE', p .. ':idle', 0, 7)) do
    if worker ~= except and (tonumber(redis.pcall('ZSCORE', p .. ':workers', worker) or 0) or 0) > now
      and (not accepts or accepts(worker)) then return worker end
  end
  return nil
end
local function timekeeper() return first_idle() end
-- Tells one worker that something is due; a wake-up may be lost, safety looks find it then. Where nobody listens (it died, or is
-- cut off) the next is told. In a Cluster a worker that listens at another node counts as not listening: then more than one is told.
local function wake(due, except)
  local due_in = text(math.max(0, due - now))
  first_idle(except, function(worker) return redis.call('PUBLISH', p .. ':wake:' .. worker, due_in) ~= 0 end)
end
