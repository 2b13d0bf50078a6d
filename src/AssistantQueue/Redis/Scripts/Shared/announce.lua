-- Tells whoever watches the thread: stamp, what, batch, first and last sequence, a number, and for a run its worker.
local function announce(thread, stamp, kind, batch, first, last, number, worker)
  redis.call('PUBLISH', p .. ':updates:' .. thread,
    table.concat({ text(stamp), kind, batch, text(first), text(last), text(number), worker }, ' '))
end
