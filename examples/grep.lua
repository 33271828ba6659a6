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
  local lines, number, from, is_binary = {}, 0, 1, content:find("\0", 1, true)
  local at = is_plain and content:find(pattern, 1, true) or 1 -- no match is before that
  while from <= #content and at <= #content + 1 do
    local stop = content:find("\n", from, true) or #content + 1
    number = number + 1
    if at <= stop and (is_plain or content:sub(from, stop - 1):find(pattern)) then
      if is_binary then return ("grep: %s: binary file matches\n"):format(path) end
      table.insert(lines, ("%s:%d:%s\n"):format(path, number, content:sub(from, stop - 1)))
      at = is_plain and (content:find(pattern, stop, true) or #content + 2) or at
    end
    from = stop + 1
  end
  return table.concat(lines)
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
  if not size then report(path, refusal) end
  local is_found = size and size > 0 and (not is_plain or buffer:search(pattern, 0, size))
  return is_found and matches(path, buffer:string(0, size)) or ""
end

local function is_file(_, entry) return entry.type == "file" end
local paths = {}
for path in fs.walk(root, { filter = is_file, on_error = report }) do table.insert(paths, path) end
table.sort(paths)
local limit = 1 -- many at once pay only where the disk is waited for
for first = 1, #paths, 64 do
  local started, part = halo.now(), { unpack(paths, first, math.min(first + 63, #paths)) }
  for _, text in ipairs(halo.map(part, search, limit)) do
    found = found or text ~= ""
    io.stdout:write(text)
  end
  limit = halo.now() - started > #part * (limit == 1 and 0.0005 or 0.0001) and 64 or 1
end
os.exit(failed and 2 or found and 0 or 1)
