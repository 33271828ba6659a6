-- pipeline.lua [directory]: the lines and words of every file of a tree, and of all, as `wc -lw`
-- counts them. Three stages work at the same time, connected by channels: a task walks the tree,
-- several count, one prints. Exit status 1 if something was unreadable.
local halo = require "halo"
local fs = require "halo.fs"

local root, counters, failed = arg[1] or ".", 16, false

local function report(_, refusal)
  failed = true
  io.stderr:write("pipeline: ", refusal, "\n")
end

local function is_file(_, entry) return entry.type == "file" end

-- Who is ahead of the next stage by more than this waits for it.
local to_count, to_print = halo.channel(64), halo.channel(64)

local function walk()
  local place = 0
  for path in fs.walk(root, { filter = is_file, on_error = report, order = true }) do
    place = place + 1
    to_count:send { place = place, path = path }
  end
  to_count:close() -- which ends the loops of those who receive
end

local function count(file)
  local content, refusal = fs.readfile(file.path)
  if not content then report(file.path, refusal) end
  file.lines = content and select(2, content:gsub("\n", ""))
  file.words = content and select(2, content:gsub("%S+", ""))
  to_print:send(file)
end

local lines, words = 0, 0
local function show(file)
  if not file.lines then return end -- it was unreadable
  print(("%7d %7d %s"):format(file.lines, file.words, file.path))
  lines, words = lines + file.lines, words + file.words
end

halo.scope(function(scope) -- the failure of one stage ends the others
  scope:spawn(walk)
  scope:spawn(function()
    halo.map(to_count, count, counters) -- a channel is an iterator as well
    to_print:close()
  end)
  local early, place = {}, 1
  for file in to_print do
    early[file.place] = file
    while early[place] do -- in the order of the walk, whichever was counted first
      show(early[place])
      early[place], place = nil, place + 1
    end
  end
end)
show { lines = lines, words = words, path = "total" }
os.exit(failed and 1 or 0)
