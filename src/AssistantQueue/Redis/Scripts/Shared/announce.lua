-- Tells whoever watches the thread: stamp, what, batch, first and last sequence, a number, and for a run its worker.
-- Returns how many were told; in a Cluster only those of this node are counted.
local function announce(thread, stamp, kind, batch, first, last, number, worker)
  return redis.call('PUBLISH', p .. ':updates:' .. thread,
    table.concat({ text(stamp), kind, batch, text(first), text(last), text(number), worker }, ' '))
end
