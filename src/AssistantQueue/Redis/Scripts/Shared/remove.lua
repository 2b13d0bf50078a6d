-- Takes the thread's messages up to a sequence number off the list, nothing else, and returns how many are left.
-- The sealed count is right unless somebody else wrote to the list, so it is proved before it is used.
local function remove(thread, last, count)
  local messages = p .. ':messages:' .. thread
  local edge = redis.call('LINDEX', messages, count - 1)
  if edge and header(edge) == last then
    redis.call('LTRIM', messages, count, -1)
  else
    while true do
      local head = redis.call('LINDEX', messages, 0)
      if not head then break end
      local sequence = header(head)
      if sequence and sequence > last then break end
      redis.call('LPOP', messages)
    end
  end
  local left = redis.call('LLEN', messages)
  -- Sequence numbers grow over idle times too, also if the clock is set back.
  if left == 0 and last > tonumber(redis.call('HGET', counters, 'sequence') or 0) then
    redis.call('HSET', counters, 'sequence', text(last))
  end
  return left
end
