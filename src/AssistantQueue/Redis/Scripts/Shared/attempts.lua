-- Attempts stay with their messages: 'last:count' words, oldest messages first, say how often those up to 'last' were tried.
-- Counts one more for those up to 'last'; newer ones that an operator's retry went before were not in the run.
local function count_attempt(attempts, last)
  local words, through, tried = {}, 0, 0
  for upto, count in string.gmatch(attempts or '', '(%d+):(%d+)') do
    local newer = tonumber(upto) > tonumber(last)
    words[#words + 1] = upto .. ':' .. text(tonumber(count) + (newer and 0 or 1))
    if not newer then through, tried = tonumber(upto), #words end
  end
  if through < tonumber(last) then table.insert(words, tried + 1, last .. ':1') end
  return table.concat(words, ' ')
end
-- What remains of the words when the messages up to 'last' are gone.
local function attempts_after(attempts, last)
  local words = {}
  for upto, count in string.gmatch(attempts or '', '(%d+):(%d+)') do
    if tonumber(upto) > last then words[#words + 1] = upto .. ':' .. count end
  end
  return table.concat(words, ' ')
end
