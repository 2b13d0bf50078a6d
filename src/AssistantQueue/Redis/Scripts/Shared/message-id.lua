-- The key of a message's id. Both parts may hold colons; the length keeps 'a:b' with 'c' apart from 'a' with 'b:c'.
local function message_id(thread, id) return table.concat({ p, ':message-id:', #thread, ':', thread, ':', id }) end
