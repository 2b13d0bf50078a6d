-- A stored message is one line: sequence, running sum of characters, own characters, JSON.
local function header(entry)
  local sequence, sum, characters = string.match(entry, '^(%d+) (%d+) (%d+) ')
  if not sequence then return nil end
  return tonumber(sequence), tonumber(sum), tonumber(characters)
end
