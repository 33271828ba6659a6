-- grep.lua pattern [directory]: the lines of a tree's files that match a Lua pattern, as
-- `path:line:text` in the order of the paths. Of a binary file, which has a zero byte, it says only
-- that it matches. Exit status as of grep: 1 if nothing was found, 2 after trouble.
local halo = require "halo"
local fs = require "halo.fs"
local pattern, root, found, failed = arg[1], arg[2] or ".", false, false
if not pattern then
  io.stderr:write("usage: grep.lua pattern [directory]\n")
  os.exit(2)
end
local is_plain = not pattern:find "[%^%$%(%)%%%.%[%]%*%+%-%?\n]"

local function report(_, refusal)
  failed = true
  io.stderr:write("grep: ", refusal, "\n")
end

local function matches(path, content)
  local lines, number, is_binary = {}, 0, content:find("\0", 1, true)
  for line in (content:sub(-1) == "\n" and content or content .. "\n"):gmatch "([^\n]*)\n" do
    number = number + 1
    if line:find(pattern, 1, is_plain) then
      if is_binary then return ("grep: %s: binary file matches\n"):format(path) end
      table.insert(lines, ("%s:%d:%s\n"):format(path, number, line))
    end
  end
  return lines[1] and table.concat(lines)
end

local buffers = {} -- each for one file at a time; most files have no match, and make no string
local function search(path)
  local buffer = table.remove(buffers) or halo.buffer(65536)
  local size, refusal, code = fs.readfile_into(path, buffer)
  while code == "EFBIG" do
    buffer = halo.buffer(4 * #buffer)
    size, refusal, code = fs.readfile_into(path, buffer)
  end
  table.insert(buffers, buffer)
  if not size then return report(path, refusal) end
  if size > 0 and (not is_plain or buffer:search(pattern, 0, size)) then
    return matches(path, buffer:string(0, size))
  end
end

local function is_file(_, entry) return entry.type == "file" end
local paths = {}
for path in fs.walk(root, { filter = is_file, on_error = report }) do table.insert(paths, path) end
table.sort(paths)
local results, printed = {}, 0
halo.map(paths, function(path, i)
  results[i] = search(path) or ""
  while results[printed + 1] do -- what is complete up to here is shown at once
    printed = printed + 1
    found = found or results[printed] ~= ""
    io.stdout:write(results[printed])
    results[printed] = ""
  end
end)
os.exit(failed and 2 or found and 0 or 1)
