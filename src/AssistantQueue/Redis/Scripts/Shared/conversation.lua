-- Writes a conversation's changes, given from ARGV[at] on as a count and triples '+' name value or '-' name ''.
-- Returns where the arguments go on.
local function skip_conversation(at) return at + 1 + 3 * tonumber(ARGV[at]) end
local function write_conversation(thread, at, retention)
  local key = p .. ':conversation:' .. thread
  local count = tonumber(ARGV[at])
  for i = at + 1, at + 3 * count, 3 do
    if ARGV[i] == '+' then put('HSET', key, ARGV[i + 1], ARGV[i + 2]) else put('HDEL', key, ARGV[i + 1]) end
  end
  if retention > 0 then redis.call('PEXPIRE', key, retention) else redis.call('PERSIST', key) end
  return skip_conversation(at)
end
