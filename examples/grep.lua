-- grep.lua pattern [directory]: the lines of a tree's files that match a Lua pattern, many files
-- searched at once, as `path:line:text` in the order of the paths. Binary files, which have a zero
-- byte somewhere, are skipped. Exit status as of grep: 1 if nothing was found, 2 after trouble.
local halo = require "halo"
local fs = require "halo.fs"

local pattern, root = arg[1], arg[2] or "."
local found, failed = false, false

if not pattern then
  io.stderr:write("usage: grep.lua pattern [directory]\n")
  os.exit(2)
end

local function report(_, refusal)
  failed = true
  io.stderr:write("grep: ", refusal, "\n")
end

local function search(path)
  local matches = {}
  local content, refusal = fs.readfile(path)
  if not content then
    report(path, refusal)
  elseif content ~= "" and not content:find("\0", 1, true) then
    local number, text = 0, content:sub(-1) == "\n" and content or content .. "\n"
    for line in text:gmatch("([^\n]*)\n") do
      number = number + 1
      if line:find(pattern) then
        table.insert(matches, ("%s:%d:%s\n"):format(path, number, line))
      end
    end
  end
  return table.concat(matches)
end

local function is_file(_, entry) return entry.type == "file" end

local paths = {}
for path in fs.walk(root, { filter = is_file, on_error = report }) do
  table.insert(paths, path)
end
table.sort(paths)

local results, printed = {}, 0
halo.map(paths, function(path, i)
  results[i] = search(path)
  while results[printed + 1] do -- what is complete up to here is shown at once
    printed = printed + 1
    found = found or results[printed] ~= ""
    io.stdout:write(results[printed])
    results[printed] = ""
  end
end)
os.exit(failed and 2 or found and 0 or 1)
