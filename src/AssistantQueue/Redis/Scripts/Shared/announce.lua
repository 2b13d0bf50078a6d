-- What happened to a thread, as its watchers are told it and as it is kept for those that come late: stamp, what, batch,
-- first and last sequence, a number, for a run its worker, and what else belongs to it.
local function update(stamp, kind, batch, first, last, number, worker, more)
  local line = table.concat({ text(stamp), kind, batch, text(first), text(last), text(number), worker or '-' }, ' ')
  return more and (line .. ' ' .. more) or line
end
-- Tells whoever watches the thread. Returns how many were told; in a Cluster only those of this node are counted.
local function announce(thread, line) return redis.call('PUBLISH', p .. ':updates:' .. thread, line) end
-- Tells also those who only wait for a reply: they are no watchers, for whom a run would tell its text piece by piece.
local function announce_outcome(thread, line)
  redis.call('PUBLISH', p .. ':outcomes:' .. thread, line)
  announce(thread, line)
end
