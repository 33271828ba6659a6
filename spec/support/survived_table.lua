-- The README's table "What it survived", of the rows that runs have told (see survived.lua):
--
--     build/halo spec/support/survived_table.lua [BUILD_DIR [README]]
--
-- What engines and specs have told of one kind is added up. A kind that no run has told of since
-- keeps its row: long runs are not made every day.

local BEGIN, END = "<!-- survived: made by make survived -->", "<!-- /survived -->"
local HEAD = "| What was done to it | How often | Lost | Repeat it |\n|---|--:|--:|---|\n"

local table_of = {}

local function read(path)
  local file = assert(io.open(path, "rb"))
  local text = file:read "*a"
  file:close()
  return text
end

local function output_of(line)
  local pipe = assert(io.popen(line))
  local text = pipe:read "*a"
  pipe:close()
  return (text:gsub("%s+$", ""))
end

---1234567 as 1,234,567.
local function with_commas(number)
  local text = ("%.0f"):format(number)
  local groups
  repeat
    text, groups = text:gsub("^(%d+)(%d%d%d)", "%1,%2")
  until groups == 0
  return text
end

local function without_commas(text)
  return tonumber((text:gsub(",", "")))
end

---@class survived.Row
---@field kind string
---@field tried number
---@field unit string
---@field lost number
---@field command string

---What the runs below a directory have told.
---@return table<string, survived.Row> by kind
function table_of.told(dir)
  local rows = {}
  for path in output_of(("ls '%s'/survived/* 2>/dev/null || true"):format(dir)):gmatch "[^\n]+" do
    local kind, tried, unit, lost, command =
      read(path):match "^([^\t]*)\t(%d+)\t([^\t]*)\t(%d+)\t([^\n]*)"
    assert(kind, path .. ": this is no row")
    rows[kind] = rows[kind] or
      { kind = kind, tried = 0, unit = unit, lost = 0, command = command }
    local row = rows[kind]
    row.tried, row.lost = row.tried + tonumber(tried), row.lost + tonumber(lost)
  end
  return rows
end

---Those of a table that was made before.
---@return table<string, survived.Row>
function table_of.made(text)
  local rows = {}
  for line in text:gmatch "[^\n]+" do
    local kind, tried, unit, lost, command =
      line:match "^| (.-) | ([%d,]+) (.-) | ([%d,]+) | `(.-)` |$"
    if kind then
      rows[kind] = { kind = kind, tried = without_commas(tried), unit = unit,
        lost = without_commas(lost), command = command }
    end
  end
  return rows
end

---@param rows table<string, survived.Row>
---@param machine string
function table_of.format(rows, machine)
  local kinds, lines = {}, {}
  for kind in pairs(rows) do
    kinds[#kinds + 1] = kind
  end
  table.sort(kinds)
  for i, kind in ipairs(kinds) do
    local row = rows[kind]
    lines[i] = ("| %s | %s %s | %s | `%s` |\n"):format(kind, with_commas(row.tried), row.unit,
      with_commas(row.lost), row.command)
  end
  return HEAD .. table.concat(lines) .. "\n" .. machine .. "\n"
end

---What it ran on.
local function machine()
  local cores = output_of "nproc"
  local files = output_of 'stat -f -c %T "${TMPDIR:-/tmp}"'
  return ("Last: Linux %s, %s, %s cores, %s."):format(output_of "uname -r", output_of "uname -m",
    cores, files)
end

---A README with its table made anew.
function table_of.renew(readme, dir)
  local first, begin_last = readme:find(BEGIN, 1, true)
  local end_first = readme:find(END, begin_last, true)
  assert(first and end_first, "the README has no place for the table")
  local rows = table_of.made(readme:sub(begin_last + 1, end_first - 1))
  for kind, row in pairs(table_of.told(dir)) do
    rows[kind] = row
  end
  return readme:sub(1, begin_last) .. "\n" .. table_of.format(rows, machine())
    .. readme:sub(end_first)
end

if arg and arg[0] and arg[0]:find "survived_table%.lua$" then
  local dir, path = arg[1] or "build", arg[2] or "README.md"
  local text = table_of.renew(read(path), dir)
  local file = assert(io.open(path, "wb"))
  assert(file:write(text))
  assert(file:close())
end

return table_of
