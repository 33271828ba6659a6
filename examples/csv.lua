-- csv.lua column pattern: passes on a CSV table's first line, and those whose field in the column
-- of that name matches a Lua pattern. Quoted fields may contain commas, quotes and ends of lines.
local halo = require "halo"
local column, pattern = arg[1], arg[2]
if not pattern then
  io.stderr:write("usage: csv.lua column pattern\n")
  os.exit(2)
end

-- A record is complete when its quotes are; until then it has another line.
local function records(lines)
  return function()
    local record = lines()
    while record and select(2, record:gsub('"', "")) % 2 == 1 do
      local line = lines()
      if not line then break end -- the last quote was never closed
      record = record .. "\n" .. line
    end
    return record
  end
end

-- A quote within quotes is written twice.
local function quoted(record, at)
  local text, after = "", at
  repeat
    local part, behind = record:match('^"([^"]*)"?()', after)
    text = text .. (after > at and '"' or "") .. part
    after = behind
  until record:sub(after, after) ~= '"'
  return text, after
end

local function fields(record)
  local found, at = {}, 1
  repeat
    local text = ""
    if record:sub(at, at) == '"' then text, at = quoted(record, at) end
    local plain, comma = record:match("^([^,]*)()", at)
    table.insert(found, text .. plain)
    at = comma + 1
  until comma > #record
  return found
end

local place
for record in records(halo.stdin:lines()) do
  local row = fields((record:gsub("\r$", "")))
  local is_wanted = not place or (row[place] or ""):find(pattern)
  for i = 1, place and 0 or #row do place = row[i] == column and i or place end
  if not place then
    io.stderr:write("csv: no column ", column, "\n")
    os.exit(2)
  elseif is_wanted then
    local _, refusal, code = halo.stdout:write(record, "\n")
    if code == "EPIPE" then os.exit(1) end -- nobody reads any more, as behind head
    assert(not code, refusal)
  end
end
