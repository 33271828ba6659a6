-- backup.lua directory store [count]: copies a tree to store/<date>, and keeps the latest copies
-- alone, seven by default. A copy has its name only once it is whole. Prints that name.
local fs = require "halo.fs"
local join = require("halo.path").join

local from, store, count = arg[1], arg[2], tonumber(arg[3] or 7)

if not store or not count or count < 1 then
  io.stderr:write("usage: backup.lua directory store [count]\n")
  os.exit(2)
end

-- The first refusal ends it: what it says goes to standard error, the exit status is 1.
assert(fs.mkdir(store, { parents = true }))

-- Two backups at once would tread on each other's feet.
local lock = assert(fs.create(join(store, ".lock")))
local free, refusal, code = lock:lock("exclusive", 0)
if not free then
  io.stderr:write("backup: ", code == "EAGAIN" and "another one is running" or refusal, "\n")
  os.exit(1)
end

local partial, name = join(store, ".partial"), os.date("%Y-%m-%dT%H:%M:%S")
assert(fs.rmtree(partial, { force = true })) -- of one that was interrupted
assert(fs.copytree(from, partial, { mode = true, times = true }))
fs.sync() -- before it has its name, so that a crash leaves no half of it under that
assert(fs.rename(partial, join(store, name), { noreplace = true }))
print(join(store, name))

local copies = {}
for entry in fs.dir(store) do
  if entry:match("^%d%d%d%d%-%d%d%-%d%dT[%d:]+$") then table.insert(copies, entry) end
end
table.sort(copies) -- by their date
for i = 1, #copies - count do
  assert(fs.rename(join(store, copies[i]), partial)) -- what is left half removed is no copy
  assert(fs.rmtree(partial))
end
