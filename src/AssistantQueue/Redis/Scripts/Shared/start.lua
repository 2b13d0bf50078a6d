-- A run's beginning, as its thread remembers it in 'began': which attempt it is, and up to which message it was sealed then.
-- What a version before this one claimed has no such field.
local function began_of(began, last)
  local attempt, through = string.match(began or '', '^(%d+) (%d+)$')
  return attempt or '1', through or text(last)
end
