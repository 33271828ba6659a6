-- deadline.lua seconds [directory]: copies the files of a tree into one temporary file for that
-- long at most, and says how far it came. The temporary file is removed in any case: when the time
-- is up, after an error, after control-C. Exit status 1 if not all of the tree was copied.
local halo = require "halo"
local fs = require "halo.fs"

local piece_size, files_at_once = 256 * 1024, 8
local seconds, root = tonumber(arg[1]), arg[2] or "."
local files, bytes, failed = 0, 0, false

if not seconds or seconds < 0 then
  io.stderr:write("usage: deadline.lua seconds [directory]\n")
  os.exit(2)
end

local function report(_, refusal)
  failed = true
  io.stderr:write("deadline: ", refusal, "\n")
end

-- Calls fn, and clean_up whatever becomes of it. In a task that is cancelled every call that may
-- wait raises, and those of a clean-up would too: halo.shield lets them do their work.
local function finally(clean_up, fn)
  local ok, err = pcall(fn)
  halo.shield(clean_up)
  if not ok then error(err, 0) end -- a cancellation too has to go on
end

local function append(path, copy)
  local file, refusal = fs.open(path)
  if not file then return report(path, refusal) end
  finally(function() file:close() end, function()
    local piece, trouble = file:read(piece_size)
    while piece do
      assert(copy:write(piece))
      bytes = bytes + #piece -- not across a call that waits: others count meanwhile
      piece, trouble = file:read(piece_size)
    end
    if trouble then return report(path, trouble) end
    files = files + 1
  end)
end

local function is_file(_, entry) return entry.type == "file" end

local in_time = halo.timeout(seconds, function()
  local copy, copy_path = assert(fs.mkstemp("deadline-"))
  finally(function()
    copy:close()
    assert(fs.remove(copy_path))
  end, function()
    local paths = fs.walk(root, { filter = is_file, on_error = report })
    halo.map(paths, function(path) append(path, copy) end, files_at_once)
  end)
  return true
end)

print(("%s: %d files, %d bytes"):format(in_time and "the end" or "the time is up", files, bytes))
os.exit(in_time and not failed and 0 or 1)
