-- rotate.lua log bytes count: appends its input to a log, line by line. When the log would grow
-- beyond so many bytes it becomes log.1, log.1 becomes log.2, and so on up to the count. Several
-- may write to one log: each line is written, and the log is rotated, under a lock.
local halo = require "halo"
local fs = require "halo.fs"

local path, bytes, count = arg[1], tonumber(arg[2]), tonumber(arg[3])

if not path or not bytes or not count or count < 1 then
  io.stderr:write("usage: rotate.lua log bytes count\n")
  os.exit(2)
end

local function rotate()
  for i = count - 1, 1, -1 do
    local ok, refusal, code = fs.rename(path .. "." .. i, path .. "." .. i + 1)
    assert(ok or code == "ENOENT", refusal)
  end
  assert(fs.rename(path, path .. ".1"))
end

-- The lock has a file of its own: that of the log would move away with it.
local lock, log = assert(fs.create(path .. ".lock")), nil

local function append(line)
  assert(lock:lock("exclusive", 10))
  log = log or assert(fs.open(path, "a"))
  if log:stat("id") ~= fs.stat(path, "id") then -- another process has rotated it
    log:close()
    log = assert(fs.open(path, "a"))
  end
  local size = log:stat("size")
  if size > 0 and size + #line + 1 > bytes then
    rotate()
    log:close()
    log = assert(fs.open(path, "a"))
  end
  assert(log:write(line, "\n"))
  assert(lock:unlock())
end

for line in halo.stdin:lines() do
  append(line)
end
