-- rebuild.lua directory command [argument...]: runs the command, and again whenever something below
-- the directory has changed and then been left alone for a moment. What the command itself makes
-- should lie elsewhere. It ends when the directory is removed, or by control-C.
local halo = require "halo"
local fs = require "halo.fs"

local quiet_seconds, root = 0.2, arg[1]

if not arg[2] then
  io.stderr:write("usage: rebuild.lua directory command [argument...]\n")
  os.exit(2)
end

local function quote(word) return "'" .. word:gsub("'", [['\'']]) .. "'" end

local words = {}
for i = 2, #arg do words[#words + 1] = quote(arg[i]) end
local line = table.concat(words, " ")

-- From here on nothing is missed: what happens during a build is told after it.
local ok, watch = pcall(fs.watch, root, {
  recursive = true,
  events = { "create", "delete", "move", "close_write" },
})
if not ok then
  io.stderr:write("rebuild: ", watch, "\n")
  os.exit(1)
end

-- One change is seldom alone: an editor writes a new file, moves it, and removes the old one.
local function wait_for_quiet()
  repeat
    local event = halo.timeout(quiet_seconds, watch.next, watch)
  until not event
end

os.execute(line)
for event in watch do
  if event.type == "error" then io.stderr:write("rebuild: ", event.message, "\n") end
  wait_for_quiet()
  if fs.exists(root) then os.execute(line) end
end
