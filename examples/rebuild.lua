-- rebuild.lua directory command...: runs a command whenever something has changed in a tree, once
-- for all that changes within a fifth of a second. Runs it at the start too; control-C ends it.
local halo = require "halo"
local fs = require "halo.fs"

io.stdout:setvbuf "line"
local root, quiet = table.remove(arg, 1), 0.2
local command = table.concat(arg, " ")

if command == "" then
  io.stderr:write("usage: rebuild.lua directory command...\n")
  os.exit(2)
end

local function build()
  print("$ " .. command)
  local status = os.execute(command)
  print(status == 0 and "done" or "failed: " .. status)
end

-- The watch is there before the first build: what changes meanwhile starts the next one.
local watch = fs.watch(root, { recursive = true })
build()
for event in watch do
  print(event.type .. "  " .. event.path)
  while halo.timeout(quiet, watch.next, watch) do end -- until nothing has come for so long
  build()
end
