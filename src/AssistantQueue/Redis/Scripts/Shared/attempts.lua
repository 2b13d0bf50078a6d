-- Attempts stay with their messages: 'last:count' words, oldest messages first, say how often those up to 'last' were tried.
local function count_attempt(attempts, last)
  local words, through = {}, 0
  for upto, count in string.gmatch(attempts or '', '(%d+):(%d+)') do
    words[#words + 1] = upto .. ':' .. text(tonumber(count) + 1)
    through = tonumber(upto)
  end
  if through < tonumber(last) then words[#words + 1] = last .. ':1' end
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
