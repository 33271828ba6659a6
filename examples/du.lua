-- du.lua [directory]: the room a directory tree takes and its ten largest directories, in KiB, as
-- `du directory | sort -rn | head -n 11` prints them. Exit status 1 if something was unreadable.
local halo = require "halo"
local fs = require "halo.fs"
local ffi = require "ffi"
ffi.cdef "int isatty(int fd);"
local on_terminal = ffi.C.isatty(1) == 1 and ffi.C.isatty(2) == 1
local clear_line = on_terminal and "\r\27[K" or ""
local visited, failed = 0, false

local function visit(node)
  visited = visited + 1
  local stat, refusal = fs.lstat(node.path)
  if stat then
    node.blocks = stat.blocks
    node.link = stat.nlink > 1 and ("%d:%d"):format(stat.dev, stat.ino)
    if stat.is_dir then node.entries, refusal = fs.readdir(node.path) end
  end
  failed = failed or refusal
  if refusal then io.stderr:write(clear_line, "du: ", refusal, "\n") end
end

local progress = on_terminal and halo.spawn(function()
  while true do
    halo.sleep(0.1)
    io.stderr:write(clear_line, visited, " files")
  end
end)

local function charge_parent(node) node.parent.blocks = node.parent.blocks + node.blocks end
local root = { path = arg[1] or ".", parent = { blocks = 0 } }
local directories, links, level = {}, {}, { root }
-- Level by level: each is one flat list, so one halo.map bounds what is under way at any time.
while #level > 0 do
  halo.map(level, visit)
  local below = {}
  for _, node in ipairs(level) do
    if node.entries then
      if node ~= root then directories[#directories + 1] = node end
      local prefix = node.path:match("^(.-)/*$") .. "/"
      for _, entry in ipairs(node.entries) do
        below[#below + 1] = { path = prefix .. entry.name, parent = node }
      end
      node.entries = nil -- listed in the next level, and many
    elseif node.blocks and not links[node.link] then -- a file of several names counts once
      charge_parent(node)
      links[node.link] = node.link
    end
  end
  level = below
end
for i = #directories, 1, -1 do charge_parent(directories[i]) end -- from the deepest upwards
table.sort(directories, function(a, b) return a.blocks > b.blocks end)
if progress then progress:cancel() end
io.stderr:write(clear_line)
local function show(node) print(("%d\t%s"):format(math.ceil(node.blocks / 2), node.path)) end
if root.blocks then show(root) end
for i = 1, math.min(#directories, 10) do show(directories[i]) end
os.exit(failed and 1 or 0)
