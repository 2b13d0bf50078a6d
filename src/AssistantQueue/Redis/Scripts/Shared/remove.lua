-- Takes the thread's messages up to a sequence number off the list, nothing else, and returns how many are left.
-- The sealed count is right unless somebody else wrote to the list, so it is proved before it is used.
local function remove(thread, last, count)
  local messages = p .. ':messages:' .. thread
  local edge = redis.pcall('LINDEX', messages, count - 1)
  -- Not a list any more: the messages are gone already.
  if type(edge) == 'table' then return 0 end
  if edge and header(edge) == last then
    redis.call('LTRIM', messages, count, -1)
  else
    local unreadable = 0
    while true do
      local head = redis.call('LINDEX', messages, 0)
      if not head then break end
      local sequence = header(head)
      if not sequence then unreadable = unreadable + 1 end
      if sequence and sequence > last or unreadable > count then break end
      redis.call('LPOP', messages)
    end
  end
  return redis.call('LLEN', messages)
end
