-- csv.lua column pattern: a filter for pipes. Passes on a CSV table's first line, and those whose
-- field in the column of that name matches a Lua pattern. Quoted fields may contain commas, quotes
-- and ends of lines. Exit status 2 if there is no such column.
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
      record = record .. "\n" .. (lines() or '"')
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
  if not place then
    for i, name in ipairs(row) do place = name == column and i or place end
    if not place then
      io.stderr:write("csv: no column ", column, "\n")
      os.exit(2)
    end
    halo.stdout:write(record .. "\n")
  elseif (row[place] or ""):find(pattern) then
    halo.stdout:write(record .. "\n")
  end
end
