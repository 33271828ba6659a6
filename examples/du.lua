-- du.lua [-h] [directory]: disk usage as du -s tells it, in kilobytes, then that of the ten largest
-- directories in it; with -h in units, and what it took. Exit status 1 if something was unreadable.
local halo = require "halo"
local fs = require "halo.fs"
local human = arg[1] == "-h" and table.remove(arg, 1)
local root, started, visited, failed = arg[1] or ".", halo.now(), 0, false

local function report(_, refusal)
  failed = true
  io.stderr:write("du: ", refusal or "its size is refused", "\n")
  return 0
end

local largest, open, links = {}, {}, {} -- open: the root at 0, and the directories around an entry
local function close_to(depth)
  for level = #open, depth, -1 do
    local closed, place = table.remove(open), math.min(#largest, 10)
    open[level - 1].blocks = open[level - 1].blocks + closed.blocks
    while place > 0 and largest[place].blocks < closed.blocks do place = place - 1 end
    table.insert(largest, place + 1, closed)
    largest[11] = nil
  end
end
local function count(path, entry)
  local blocks = entry.blocks or report(path, select(2, fs.lstat(path)))
  if entry.type == "dir" then open[entry.depth] = { path = path, blocks = blocks } return end
  if entry.blocks and entry.nlink > 1 then -- a file of several names counts once
    local id = fs.lstat(path, "id") or path
    if links[id] then return end
    links[id] = true
  end
  open[entry.depth - 1].blocks = open[entry.depth - 1].blocks + blocks
end
local blocks, is_dir = fs.lstat(root, "blocks", "is_dir")
open[0] = { path = root, blocks = blocks or report(root, is_dir) }
if blocks and is_dir then
  for path, entry in fs.walk(root, { stat = { "blocks", "nlink" }, on_error = report }) do
    visited = visited + 1
    close_to(entry.depth)
    count(path, entry)
  end
end
close_to(1)
local function show(directory)
  local size, unit = directory.blocks / 2, 1
  if not human then return print(("%d\t%s"):format(math.ceil(size), directory.path)) end
  while size >= 1024 and unit < 4 do size, unit = size / 1024, unit + 1 end
  print(("%7.1f %s  %s"):format(size, ({ "KiB", "MiB", "GiB", "TiB" })[unit], directory.path))
end
if human then print "       size  directory" end
if blocks then show(open[0]) end
for _, directory in ipairs(largest) do show(directory) end
if human then
  local stats, text = halo.stats(), "%d entries in %.2f s: %d operations, "
    .. "at most %d at once; %d were done directly, %d by the ring, %d by workers"
  print(text:format(visited, halo.now() - started, stats.submitted, stats.in_flight_most,
    stats.direct, stats.ring, stats.pool))
end
os.exit(failed and 1 or 0)
