-- The partition's name, taken from KEYS[1] so that every call declares what it works on.
local p = string.sub(KEYS[1], 1, -5)
-- Redis is the clock: µs for stamps and fences, ms for due times and leases.
local time = redis.call('TIME')
local now_us = tonumber(time[1]) * 1000000 + tonumber(time[2])
local now = math.floor(now_us / 1000)
-- '..' and tostring lose digits of a µs time; this doesn't.
local function text(number) return string.format('%.0f', number) end
local counters = p .. ':counters'
-- A caller that counts partitions differently would look for threads in the wrong place.
local layout = redis.call('HGET', counters, 'layout')
if layout and layout ~= ARGV[1] then return 'LAYOUT ' .. layout end
