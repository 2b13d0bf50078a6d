--[[
Take due threads, ended leases first: give each a lease and a fence, and seal its batch.
KEYS[1]  p:due    ZSET  thread -> time from which any worker may claim it, unix ms
KEYS[2]  p:guard  -     never exists
ARGV[1]  partitions
ARGV[2]  worker
ARGV[3]  claim token: a repeated call gives the same batches
ARGV[4]  most threads
ARGV[5]  the worker's free slots; with none left after this nobody wakes it
ARGV[6]  '1': one suspect and nothing else; '0': no suspects
ARGV[7]  lease, ms
ARGV[8]  most messages of a batch
ARGV[9]  most characters of a batch
ARGV[10] most characters of all batches after the first
ARGV[11] the time, unix ms, until which an owner whose record is not renewed counts as dead: later, Redis stood still with this call
         in its hands, and nobody could renew; 0: it doesn't count, Redis was not reachable all the time
ARGV[12] how long watchers can come back to a run that ended without an outcome, ms
ARGV[13] how long failed batches are kept, ms
ARGV[14] how long completed batches are kept, ms
Returns  { now, next look in ms or -1, next delivery in ms or -1, '1' if timekeeper, suspects due, threads with foreign data,
           { thread, fence, batch, first, last, count, attempts, deaths, '1' if taken over, journal, errors, decisions, wish,
             how many were told of it, { conversation name, value, … } } … }
Writes   p:leases, p:thread:<thread>, p:due, p:suspects, p:held, p:workers, p:idle, p:counters, p:request:<token>,
         p:events:<thread>: the beginning of the run before, when that has no outcome;
         when there is nothing to give, p:failed, p:failed:<batch>, p:completed, p:completed:<batch>
]]
--@include partition
--@include entry
--@include fence
--@include wake
--@include next-due
--@include announce
--@include put
--@include event
--@include start
--@include trim
local due, leases, suspects, held = KEYS[1], p .. ':leases', p .. ':suspects', p .. ':held'
local worker, token, most, free = ARGV[2], ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5])
local alone, lock = ARGV[6] == '1', tonumber(ARGV[7])
local max_messages, max_characters, budget = tonumber(ARGV[8]), tonumber(ARGV[9]), tonumber(ARGV[10])

local conversations, told = {}, {}
local function describe(id)
  local h = redis.call('HMGET', p .. ':thread:' .. id,
    'fence', 'batch', 'first', 'last', 'count', 'attempts', 'deaths', 'resumed', 'journal', 'errors', 'decisions', 'wish')
  return { id, h[1], h[2], h[3], h[4], h[5], h[6] or '', h[7] or '0', h[8] or '0', h[9] or '', h[10] or '',
    h[11] or '', h[12] or '', text(told[id] or 0), conversations[id] or redis.call('HGETALL', p .. ':conversation:' .. id) }
end

-- How many of the oldest messages fit into a batch: all of them, most of the time. With 'uneven' the running sums may not belong together:
-- an operator's retry puts messages back before newer ones.
local function fitting(id, length, uneven)
  local messages = p .. ':messages:' .. id
  local head, tail = redis.call('LINDEX', messages, 0), redis.call('LINDEX', messages, math.min(length, max_messages) - 1)
  local first, first_sum, first_characters = header(head)
  local last, last_sum = header(tail)
  -- What can't be read is a batch of its own, which the worker moves to the failed store.
  if not first or not last then return 1, first or 0, first or 0, 0 end
  local base = first_sum - first_characters
  if not uneven and last_sum >= first_sum and last_sum - base <= max_characters then return math.min(length, max_messages), first, last, last_sum - base end
  local count, sum, through = 1, first_characters, first
  for i = 1, math.min(length, max_messages) - 1 do
    local sequence, _, characters = header(redis.call('LINDEX', messages, i))
    if not sequence or sum + characters > max_characters then break end
    count, sum, through = i + 1, sum + characters, sequence
  end
  return count, first, through, sum
end

-- Whether a sealed range still lies at the head of the list; somebody else may have written to it.
local function is_there(id, first, last, count)
  local head = redis.call('LINDEX', p .. ':messages:' .. id, 0)
  local edge = redis.call('LINDEX', p .. ':messages:' .. id, count - 1)
  return head and edge and text(header(head) or 0) == first and text(header(edge) or 0) == last
end

-- Whether what is remembered about a batch can be read: first, last, count, deaths and attempts as the scripts write them.
local function is_readable(h)
  for _, i in ipairs({ 3, 4, 5, 7 }) do
    if h[i] and not string.find(h[i], '^%d+$') then return false end
  end
  return not h[13] or not string.find(h[13], '[^%d: ]')
end

-- Read: what was claimed with this token already, and what could be claimed now.
local found, foreign, claimed = {}, {}, {}
local known = redis.call('GET', p .. ':request:' .. token)
if known then
  for id in string.gmatch(known, '[^\n]+') do
    if redis.call('HGET', p .. ':thread:' .. id, 'token') == token then claimed[#claimed + 1] = id end
  end
  most = 0
end

local ended = most > 0 and redis.call('ZRANGEBYSCORE', leases, '-inf', text(now), 'LIMIT', 0, most) or {}
local moving, stale, spent, seen = {}, {}, 0, {}
local function consider(id, source)
  if seen[id] or (spent > budget and #found > 0) then return end
  seen[id] = true
  -- Only a crash in the middle of a script leaves a thread in two sets. A lease that lasts is never overruled.
  if source ~= leases and tonumber(redis.call('ZSCORE', leases, id) or 0) > now then
    stale[#stale + 1] = { id = id, source = source }
    return
  end
  local length = redis.pcall('LLEN', p .. ':messages:' .. id)
  local h = redis.pcall('HMGET', p .. ':thread:' .. id, 'owner', 'batch', 'first', 'last', 'count', 'posted', 'deaths', 'adoptable', 'wish', 'approval', 'fence', 'began', 'attempts')
  local conversation = redis.pcall('HGETALL', p .. ':conversation:' .. id)
  if type(length) == 'table' or h.err or conversation.err or not is_readable(h) then
    foreign[#foreign + 1] = { id = id, source = source, known = not h.err, old = not h.err and tonumber(h[5] or 0) or 0 }
    return
  end
  conversations[id] = conversation
  -- Such a crash can also leave what is remembered about a batch whose messages are gone.
  local old, gone = tonumber(h[5] or 0), h[4] and (header(redis.call('LINDEX', p .. ':messages:' .. id, 0) or '') or 0) > tonumber(h[4])
  if gone then h = {} end
  local thread = { id = id, source = source, length = length, old = old, gone = gone, batch = h[2], deaths = tonumber(h[7] or 0), rested = h[10] }
  -- A run that ended without an outcome, whose beginning is about to be written over.
  if h[2] and h[11] and h[12] then
    local attempt, through = began_of(h[12], h[4])
    thread.earlier = update(tonumber(h[11]), 'R', h[2], tonumber(h[3]), tonumber(through), tonumber(attempt))
  end
  if length == 0 then found[#found + 1] = thread return end
  if source == leases then
    local record = tonumber(redis.call('ZSCORE', p .. ':workers', h[1] or '') or 0)
    -- Who claims again what it left lying did not die. The living renew their record at each third of a lease; the dead may have touched it
    -- with a claim up to a third after this lease.
    if h[1] and now <= tonumber(ARGV[11]) and h[8] ~= '1' and h[1] ~= worker and record <= now + lock / 2 then thread.deaths, thread.died = thread.deaths + 1, true end
    if thread.deaths > 0 and not alone then moving[#moving + 1] = thread return end
    if alone and thread.deaths == 0 then return end
  end
  local characters
  local there = h[2] and is_there(id, h[3], h[4], thread.old)
  -- What the API may have stays as it was sealed; so does what a process died with: newer messages are not suspected with it.
  if there and (h[6] == '1' or thread.deaths > 0 and h[6] ~= 'i') then
    thread.first, thread.last, thread.count, characters = tonumber(h[3]), tonumber(h[4]), thread.old, 0
  else
    thread.count, thread.first, thread.last, characters = fitting(id, length, h[2])
    -- The API may have all of an interrupted batch: none of it is left to a later one, which would post it again.
    if there and h[6] == 'i' and thread.count < thread.old then thread.first, thread.last, thread.count = tonumber(h[3]), tonumber(h[4]), thread.old end
    -- Who wanted something of the last run is in this batch; it must not be interrupted for its own messages.
    thread.granted = h[9]
    if h[3] ~= text(thread.first) or h[4] ~= text(thread.last) then thread.batch = nil end
  end
  spent = spent + characters
  found[#found + 1] = thread
end
for _, id in ipairs(ended) do if not alone or #found == 0 then consider(id, leases) end end
if most > #found then
  if alone then
    if #found == 0 then
      for _, id in ipairs(redis.call('ZRANGEBYSCORE', suspects, '-inf', text(now), 'LIMIT', 0, 1)) do consider(id, suspects) end
    end
  else
    for _, id in ipairs(redis.call('ZRANGEBYSCORE', due, '-inf', text(now), 'LIMIT', 0, most - #found)) do consider(id, due) end
  end
end
local back = redis.call('ZRANGEBYSCORE', held, '-inf', text(now), 'LIMIT', 0, 16)

-- Write, beginning with what frees memory.
redis.call('ZREMRANGEBYSCORE', p .. ':workers', '-inf', text(now))
redis.call('ZADD', p .. ':workers', text(now + lock), worker)
for _, idle in ipairs(redis.call('ZRANGE', p .. ':idle', 0, 7)) do
  if not redis.call('ZSCORE', p .. ':workers', idle) then redis.call('ZREM', p .. ':idle', idle) end
end
-- A repeated claim begins its leases anew, as the owner counts them from the repetition.
for _, id in ipairs(claimed) do redis.call('ZADD', leases, text(now + lock), id) end
for _, id in ipairs(back) do
  local deaths = tonumber(redis.pcall('HGET', p .. ':thread:' .. id, 'deaths') or 0) or 0
  if not (redis.call('ZSCORE', leases, id) or redis.call('ZSCORE', due, id) or redis.call('ZSCORE', suspects, id)) then
    redis.call('ZADD', deaths > 0 and suspects or due, text(now), id)
  end
  redis.call('ZREM', held, id)
end
for _, thread in ipairs(stale) do redis.call('ZREM', thread.source, thread.id) end
for _, thread in ipairs(foreign) do
  redis.call('ZADD', held, text(now + 60000), thread.id)
  redis.call('ZREM', thread.source, thread.id)
  if thread.known then redis.call('HDEL', p .. ':thread:' .. thread.id, 'owner', 'token') end
  if thread.source == leases then redis.call('HINCRBY', counters, 'active', 0 - thread.old) end
end
for _, thread in ipairs(moving) do
  -- A batch that a process died with runs next where nothing else runs.
  redis.call('ZADD', suspects, text(now), thread.id)
  redis.call('HDEL', p .. ':thread:' .. thread.id, 'owner', 'token')
  redis.call('HSET', p .. ':thread:' .. thread.id, 'deaths', text(thread.deaths), 'resumed', '1')
  redis.call('ZREM', leases, thread.id)
  redis.call('HINCRBY', counters, 'active', 0 - thread.old)
end
local names = {}
for _, thread in ipairs(found) do
  local key = p .. ':thread:' .. thread.id
  if thread.length == 0 then
    -- Nothing waits: left behind by a Redis that lost part of its data.
    redis.call('DEL', key)
    redis.call('ZREM', thread.source, thread.id)
    if thread.source == leases then redis.call('HINCRBY', counters, 'active', 0 - thread.old) end
  else
    local fence = next_fence(header(redis.call('LINDEX', p .. ':messages:' .. thread.id, -1)))
    -- A name that a repeated call doesn't give to another thread.
    local batch = thread.batch or (string.sub(token, 1, 16) .. '-' .. text(fence))
    local resumed = thread.source == leases or redis.call('HGET', key, 'resumed') == '1'
    if thread.gone then redis.call('DEL', key) end
    if thread.earlier then keep_event(thread.id, thread.earlier, ARGV[12]) end
    local attempts = string.match(redis.call('HGET', key, 'attempts') or '', ':(%d+)')
    local attempt = tonumber(attempts or 0) + 1
    redis.call('HSET', key, 'fence', text(fence), 'owner', worker, 'token', token,
      'batch', batch, 'first', text(thread.first), 'last', text(thread.last),
      'count', text(thread.count), 'deaths', text(thread.deaths), 'resumed', resumed and '1' or '0', 'revision', '0',
      'began', text(attempt) .. ' ' .. text(thread.last))
    if thread.granted then redis.call('HDEL', key, 'wish') end
    if thread.rested then redis.call('HDEL', key, 'approval') end
    redis.call('ZADD', leases, text(now + lock), thread.id)
    if thread.source ~= leases then redis.call('ZREM', thread.source, thread.id) end
    redis.call('HINCRBY', counters, 'active', thread.count - (thread.source == leases and thread.old or 0))
    told[thread.id] = announce(thread.id, update(fence, 'R', batch, thread.first, thread.last, attempt, worker))
    claimed[#claimed + 1] = thread.id
    names[#names + 1] = thread.id
  end
end
keep_fence()
if #names > 0 then redis.call('SET', p .. ':request:' .. token, table.concat(names, '\n'), 'PX', 600000) end

-- Suspects that are due already are told apart; those that are not yet are looked for like the others.
local coming = redis.call('ZRANGEBYSCORE', suspects, '(' .. text(now), '+inf', 'WITHSCORES', 'LIMIT', 0, 1)
local next_look = tonumber(coming[2])
for _, key in ipairs({ due, leases, held }) do
  local score = first_score(key)
  if score and (not next_look or score < next_look) then next_look = score end
end
-- Nothing is anywhere: what the counters say beyond that was left by a crash.
if not next_look and redis.call('ZCARD', suspects) == 0 then
  for _, kind in ipairs({ 'pending', 'active' }) do
    if (redis.call('HGET', counters, kind) or '0') ~= '0' then redis.call('HSET', counters, kind, '0') end
  end
end
-- Stores that nothing is written to any more keep nothing for longer than they should either. A look without a batch has the time.
if #claimed == 0 then
  local gone = trim('failed', tonumber(ARGV[13]), 10000)
  if gone > 0 then redis.call('HINCRBY', counters, 'failed', 0 - gone) end
  trim('completed', tonumber(ARGV[14]), 1000)
end
if free - #claimed > 0 then
  if not redis.call('ZSCORE', p .. ':idle', worker) then redis.call('ZADD', p .. ':idle', text(now), worker) end
else
  redis.call('ZREM', p .. ':idle', worker)
  -- Also what is due later: this worker doesn't look any more, and an enqueue wakes only for what is due before that.
  if next_look then wake(next_look, worker) end
end
local next_delivery = first_score(p .. ':deliveries')
local result = { text(now), next_look and text(math.max(0, next_look - now)) or '-1',
  next_delivery and text(math.max(0, next_delivery - now)) or '-1',
  timekeeper() == worker and '1' or '0', text(redis.call('ZCOUNT', suspects, '-inf', text(now))), {} }
for i, thread in ipairs(foreign) do result[6][i] = thread.id end
for _, id in ipairs(claimed) do result[#result + 1] = describe(id) end
return result
