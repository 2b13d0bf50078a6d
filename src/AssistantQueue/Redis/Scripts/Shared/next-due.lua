-- When something of the partition is due, back, or left by its owner: the earliest time in its sets, nil when nothing waits or runs.
local function first_score(key) return tonumber(redis.call('ZRANGE', key, 0, 0, 'WITHSCORES')[2]) end
local function next_due()
  local earliest
  for _, set in ipairs({ ':due', ':leases', ':held', ':suspects' }) do
    local score = first_score(p .. set)
    if score and (not earliest or score < earliest) then earliest = score end
  end
  return earliest
end
