--[[
Store units of messages, each whole or not at all, and set or move their threads' due times.
KEYS[1]  p:due    ZSET  thread -> time from which any worker may claim it, unix ms
KEYS[2]  p:guard  -     never exists; with two declared keys a moving Cluster slot answers before the script begins
ARGV[1]  partitions
ARGV[2]  request id: a repeated call gives the first call's outcome
ARGV[3]  how long the outcome is kept, ms
ARGV[4]  message delay, ms
ARGV[5]  window: fixed | sliding
ARGV[6]  longest message delay, ms
ARGV[7]  most messages of a batch
ARGV[8]  most characters of a batch
ARGV[9]  most pending messages of a thread
ARGV[10] how long message ids are remembered, ms
ARGV[11] number of units, then for each unit: thread, number of messages, and for each message:
         id, '1' if the id is to be recognised again, own delay in ms or '', '1' to flush,
         what it does to a run under way: 'C' waits | 'I' interrupts | 'R' is refused | 'S' joins, characters, JSON.
         A run is under way from its claim until its batch is answered or given up; while it rests between two owners (for an
         approval, an attempt, another worker) once the API has messages of the batch, or may have
Returns  a line a unit: 'S' and a word sequence:due:duplicate a message (due 0 behind a run) | 'F' thread full | 'C' corrupt
         | 'B' refused, a run is under way
Writes   p:request:<id>, p:messages:<thread>, p:message-id:<length>:<thread>:<id>, p:due, p:thread:<thread>, p:counters; for a batch that
         waits for an approval and is to be interrupted also p:due or p:suspects, and p:held
Tells    the worker of a run that is to be interrupted or joined; watchers, with the messages' ids a line each
]]
--@include partition
--@include entry
--@include message-id
--@include wake
--@include rearm
--@include announce
local due, request = KEYS[1], p .. ':request:' .. ARGV[2]
local known = redis.call('GET', request)
if known then
  -- A write, so that who waits for replicas behind a repetition waits for the first call's writes too.
  redis.call('PEXPIRE', request, ARGV[3])
  return known
end

local delay, sliding, max_delay = tonumber(ARGV[4]), ARGV[5] == 'sliding', tonumber(ARGV[6])
local max_messages, max_characters = tonumber(ARGV[7]), tonumber(ARGV[8])
local max_pending, remember = tonumber(ARGV[9]), tonumber(ARGV[10])
local stamps = redis.call('HMGET', counters, 'sequence', 'fence')
local high_water = math.max(tonumber(stamps[1] or 0), tonumber(stamps[2] or 0))
local earliest = tonumber(redis.call('ZRANGE', due, 0, 0, 'WITHSCORES')[2])

-- Read and check: nothing is written before the last unit's outcome is known.
local function read(id)
  local messages = p .. ':messages:' .. id
  local length = redis.pcall('LLEN', messages)
  if type(length) == 'table' then return { corrupt = true } end
  if length == 0 then return { length = 0, sum = 0, base = 0, last = high_water } end
  local thread = { length = length }
  local head = redis.call('LINDEX', messages, 0)
  local tail = length > 1 and redis.call('LINDEX', messages, -1) or head
  local first, first_sum, first_characters = header(head)
  thread.last, thread.sum = header(tail)
  if not first or not thread.last then return { corrupt = true } end
  thread.base, thread.oldest = first_sum - first_characters, math.floor(first / 1000)
  thread.last = math.max(thread.last, high_water)
  -- What isn't a hash any more is moved aside by the next claim.
  local h = redis.pcall('HMGET', p .. ':thread:' .. id, 'batch', 'posted')
  if redis.call('ZSCORE', p .. ':leases', id) then
    thread.running = true
  else
    thread.due = tonumber(redis.call('ZSCORE', due, id) or redis.call('ZSCORE', p .. ':suspects', id))
    -- A thread with something to remember about a batch is in a retry's pause: its due time stays.
    thread.pausing = redis.call('ZSCORE', p .. ':held', id) or (thread.due and redis.call('EXISTS', p .. ':thread:' .. id) == 1)
  end
  thread.busy = thread.running or not h.err and h[1] and h[2] == '1'
  return thread
end

-- What newer messages want of the run is kept with it, for the next renewal or owner; telling its worker is only faster.
local function wish(id, letter)
  local key = p .. ':thread:' .. id
  -- pcall: the messages are stored by now, and somebody else's key there is the claim's business.
  local h = redis.pcall('HMGET', key, 'owner', 'fence', 'wish', 'approval')
  if h.err then return end
  if not string.find(h[3] or '', letter, 1, true) then redis.call('HSET', key, 'wish', (h[3] or '') .. letter) end
  if h[1] then
    redis.call('PUBLISH', p .. ':signals:' .. h[1], h[2] .. ' ' .. letter .. ' ' .. id)
  elseif h[4] and letter == 'I' then
    -- Nobody waits for an approval any more that a newer message has overtaken.
    rearm(id, now)
    redis.call('ZREM', p .. ':held', id)
    redis.call('HDEL', key, 'approval')
  end
end

local function move(thread, own_delay, flush)
  if thread.running or thread.pausing then return end
  thread.oldest = thread.oldest or now
  local want = now + (own_delay or delay)
  if sliding and not own_delay then want = math.min(thread.oldest + max_delay, want) end
  if flush or thread.length >= max_messages or thread.sum - thread.base >= max_characters then want = now end
  if not thread.due then
    thread.due, thread.moved = want, true
  elseif thread.due > now and (want < thread.due or (sliding and want > thread.due)) then
    thread.due, thread.moved = want, true
  end
end

local threads, ids, units, outcomes, total = {}, {}, {}, {}, 0
local at = 12
for u = 1, tonumber(ARGV[11]) do
  local id, count = ARGV[at], tonumber(ARGV[at + 1])
  at = at + 2
  local thread = threads[id] or read(id)
  threads[id] = thread
  local fresh, words, seen, refused = {}, {}, {}, false
  if not thread.corrupt then
    for i = 1, count do
      local a = at + 7 * (i - 1)
      local key = ARGV[a + 1] == '1' and remember > 0 and message_id(id, ARGV[a]) or nil
      local first = key and (ids[key] or redis.pcall('GET', key))
      if type(first) == 'table' then thread.corrupt = true break end
      if first then
        words[i] = first .. ':1'
      elseif key and seen[key] then
        seen[key].again[#seen[key].again + 1] = i
      else
        local message = { key = key, at = a, place = i, again = {} }
        fresh[#fresh + 1] = message
        refused = refused or thread.busy and ARGV[a + 4] == 'R'
        if key then seen[key] = message end
      end
    end
  end
  if thread.corrupt then
    outcomes[u] = 'C'
  elseif refused then
    outcomes[u] = 'B'
  elseif #fresh > 0 and thread.length + #fresh > max_pending then
    outcomes[u] = 'F'
  else
    local unit = { thread = id, entries = {}, keys = {}, ids = {} }
    for _, message in ipairs(fresh) do
      local a = message.at
      local characters = tonumber(ARGV[a + 5])
      thread.last = math.max(thread.last + 1, now_us)
      thread.sum = thread.sum + characters
      thread.length = thread.length + 1
      unit.first = unit.first or thread.last
      unit.ids[#unit.ids + 1] = ARGV[a]
      unit.entries[#unit.entries + 1] = table.concat({ text(thread.last), text(thread.sum), ARGV[a + 5], ARGV[a + 6] }, ' ')
      -- What doesn't fit into the batch any more would gain nothing by its end, and can't join it: it waits.
      local fits = thread.length <= max_messages and thread.sum - thread.base <= max_characters
      if thread.busy and fits and ARGV[a + 4] ~= 'C' then unit.wishes = unit.wishes or {} unit.wishes[ARGV[a + 4]] = true end
      move(thread, tonumber(ARGV[a + 2]), ARGV[a + 3] == '1')
      message.sequence = thread.last
    end
    unit.last = thread.last
    for _, message in ipairs(fresh) do
      local word = text(message.sequence) .. ':' .. text(thread.running and 0 or thread.due or 0)
      words[message.place] = word .. ':0'
      for _, place in ipairs(message.again) do words[place] = word .. ':1' end
      if message.key then
        ids[message.key] = word
        unit.keys[#unit.keys + 1] = { message.key, word }
      end
    end
    total = total + #fresh
    units[#units + 1] = unit
    outcomes[u] = 'S ' .. table.concat(words, ' ')
  end
  at = at + 7 * count
end
local outcome = table.concat(outcomes, '\n')

-- Write, beginning with what allocates: at maxmemory the whole call is refused.
if total == 0 then
  redis.call('SET', request, outcome, 'PX', ARGV[3])
  return outcome
end
if not layout then redis.call('HSET', counters, 'layout', ARGV[1], 'born', text(now_us)) end
-- Due times before messages, the outcome at the end: who crashes between has a thread with nothing in it, not messages that nobody
-- looks for. Ids come after their messages: who crashes between and is called again has them twice, and the other way round not at all.
local soonest
for id, thread in pairs(threads) do
  if thread.moved then
    redis.call('ZADD', due, text(thread.due), id)
    if not soonest or thread.due < soonest then soonest = thread.due end
  end
end
for _, unit in ipairs(units) do
  if unit.first then
    -- unpack takes a few thousand values at the most
    for i = 1, #unit.entries, 500 do
      redis.call('RPUSH', p .. ':messages:' .. unit.thread, unpack(unit.entries, i, math.min(i + 499, #unit.entries)))
    end
    for _, pair in ipairs(unit.keys) do redis.call('SET', pair[1], pair[2], 'PX', remember) end
    announce(unit.thread, update(unit.last, 'S', '-', unit.first, unit.last, 0, '-', table.concat(unit.ids, '\n')))
    for letter in pairs(unit.wishes or {}) do wish(unit.thread, letter) end
  end
end
redis.call('HINCRBY', counters, 'pending', total)
redis.call('SET', request, outcome, 'PX', ARGV[3])
if soonest and (not earliest or soonest < earliest) then wake(soonest) end
return outcome
