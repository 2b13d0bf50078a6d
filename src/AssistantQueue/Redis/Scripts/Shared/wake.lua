-- The timekeeper: the worker that has had a free slot for longest and whose record has not ended.
local function timekeeper(except)
  -- pcall: whoever wakes has written already, and a wake-up may be lost.
  for _, worker in ipairs(redis.pcall('ZRANGE', p .. ':idle', 0, 7)) do
    if worker ~= except and (tonumber(redis.pcall('ZSCORE', p .. ':workers', worker) or 0) or 0) > now then return worker end
  end
  return nil
end
-- Tells one worker that something is due; a wake-up may be lost, safety looks find it then.
local function wake(due, except)
  local worker = timekeeper(except)
  if worker then redis.call('PUBLISH', p .. ':wake:' .. worker, text(math.max(0, due - now))) end
end
