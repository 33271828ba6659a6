-- replace.lua old new [directory]: replaces a text, taken as it is, in every file of a tree. A file
-- is replaced as a whole or not at all, and keeps its permissions; binary files are left alone.
-- Prints what was changed. Exit status 1 after trouble.
local halo = require "halo"
local fs = require "halo.fs"

local old, new, root = arg[1], arg[2], arg[3] or "."
local failed = false

if not new or old == "" then
  io.stderr:write("usage: replace.lua old new [directory]\n")
  os.exit(2)
end

local function report(_, refusal)
  failed = true
  io.stderr:write("replace: ", refusal, "\n")
end

-- Lua's patterns have characters of their own, and so have replacements.
local pattern, replacement = old:gsub("%W", "%%%0"), new:gsub("%%", "%%%%")

local function replace(path)
  local content, refusal, code = fs.readfile(path)
  if code == "ENOENT" then return end -- it was removed since
  if not content then return report(path, refusal) end
  if not content:find(old, 1, true) or content:find("\0", 1, true) then return end
  local changed, count = content:gsub(pattern, replacement)
  local ok
  ok, refusal = fs.writefile(path, changed, { atomic = true })
  if not ok then return report(path, refusal) end
  print(("%5d  %s"):format(count, path))
end

local function is_file(_, entry) return entry.type == "file" end

-- All names are known before the first file changes: the walk does not meet what is made here.
local paths = {}
for path in fs.walk(root, { filter = is_file, on_error = report }) do
  table.insert(paths, path)
end
halo.map(paths, replace)
os.exit(failed and 1 or 0)
