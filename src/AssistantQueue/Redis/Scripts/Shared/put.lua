-- Writes to a key of ours. What somebody else has put there would stop a finish half way, so it is moved aside, bytes and all.
local function put(command, key, ...)
  local done = redis.pcall(command, key, ...)
  if type(done) == 'table' and done.err then
    redis.call('RENAME', key, p .. ':foreign' .. string.sub(key, #p + 1))
    redis.call(command, key, ...)
  end
end
