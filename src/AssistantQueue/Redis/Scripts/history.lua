--[[
Read what is kept of a thread for a watcher: outcomes, events, the batch that runs, and the messages behind the watcher's place.
KEYS[1]  p:due    ZSET  thread -> time from which any worker may claim it
KEYS[2]  p:guard  -     never exists
ARGV[1]  partitions
ARGV[2]  thread
ARGV[3]  most messages behind the place
ARGV[4]  the watcher's place: older messages are not wanted but to name what a run began to answer since
Returns  { now in µs, or the newest message's number if the clock was set back, { outcome as kept … }, { fence, batch, first, last, attempts, owner } or {}, { stored message … },
           { stamp, batch, first, last, journal } or {} when tool calls wait for approval, { event as told … },
           '1' when more messages wait than are returned, the last run's beginning as an event or '' }
Writes   nothing
]]
--@include partition
--@include entry
--@include announce
--@include start
local thread, most, after = ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local h = redis.call('HMGET', p .. ':thread:' .. thread, 'fence', 'batch', 'first', 'last', 'attempts', 'owner', 'began', 'approval', 'journal')
local batch, approval, began = {}, {}, ''
if h[1] and h[2] and redis.call('ZSCORE', p .. ':leases', thread) then
  batch = { h[1], h[2], h[3], h[4], h[5] or '', h[6] or '' }
end
if h[8] and redis.call('ZSCORE', p .. ':held', thread) then approval = { h[8], h[2], h[3], h[4], h[9] or '' } end
local events = redis.call('LRANGE', p .. ':events:' .. thread, 0, -1)

-- Messages up to this one are wanted for their ids: of those that a run began to answer behind the watcher's place.
local named = 0
local function name(stamp, last) if stamp > after then named = math.max(named, last) end end
for _, line in ipairs(events) do
  local stamp, kind, last = string.match(line, '^(%d+) (%a) %S+ %d+ (%d+) ')
  if kind == 'R' or kind == 'J' then name(tonumber(stamp), tonumber(last)) end
end
if h[1] and h[2] and (h[7] or #batch > 0) then
  local attempt, through = began_of(h[7], tonumber(h[4]))
  began = update(tonumber(h[1]), 'R', h[2], tonumber(h[3]), tonumber(through), tonumber(attempt), h[6])
  name(tonumber(h[1]), tonumber(through))
end

local messages, waiting, count, more = p .. ':messages:' .. thread, {}, 0, false
local length, at, page = redis.call('LLEN', messages), 0, 100
while at < length and not more do
  local newest = header(redis.call('LINDEX', messages, math.min(at + page, length) - 1))
  local oldest = newest and newest <= after and header(redis.call('LINDEX', messages, at))
  -- A page that the watcher has seen, of messages that nothing names.
  if not (oldest and oldest > named) then
    for _, line in ipairs(redis.call('LRANGE', messages, at, at + page - 1)) do
      local sequence = header(line)
      if sequence and sequence > after then
        if count == most then more = true break end
        count = count + 1
        waiting[#waiting + 1] = line
      elseif sequence and sequence <= named then
        waiting[#waiting + 1] = line
      end
    end
  end
  at = at + page
end
local tail = length > 0 and header(redis.call('LINDEX', messages, -1)) or 0
return { text(math.max(now_us, tail)), redis.call('LRANGE', p .. ':replies:' .. thread, 0, -1), batch, waiting, approval, events, more and '1' or '0', began }
