-- deadline.lua seconds [directory]: copies the files of a tree into one temporary file for that
-- long at most, and says how far it came. One task reads, another writes. The file is removed in
-- any case: after an error or control-C, too. Exit status 1 if not all of the tree was copied.
local halo = require "halo"
local fs = require "halo.fs"

local piece_size, pieces_ahead = 256 * 1024, 8 -- a task that is further ahead waits
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

local function is_file(_, entry) return entry.type == "file" end
-- Behind the pieces of a file comes an empty one.
local function read_files(pieces)
  for path in fs.walk(root, { filter = is_file, on_error = report }) do
    local file, refusal = fs.open(path)
    local piece = file and ""
    while piece do
      piece, refusal = file:read(piece_size)
      if piece then pieces:send(piece) end
    end
    if file then file:close() end
    if refusal then report(path, refusal) else pieces:send "" end
  end
  pieces:close() -- which ends the loop of the writer
end

local function write_pieces(pieces, copy)
  for piece in pieces do
    assert(copy:write(piece))
    bytes = bytes + #piece
    if piece == "" then files = files + 1 end
  end
end

local in_time = halo.timeout(seconds, function()
  return halo.scope(function(scope) -- the failure of one ends the other
    local copy, copy_path = assert(fs.mkstemp "deadline-")
    scope:defer(function() -- when both have ended, also by a cancellation
      copy:close()
      assert(fs.remove(copy_path))
    end)
    local pieces = halo.channel(pieces_ahead)
    scope:spawn(read_files, pieces)
    scope:spawn(write_pieces, pieces, copy)
    return true
  end)
end)

print(("%s: %d files, %d bytes"):format(in_time and "the end" or "the time is up", files, bytes))
os.exit(in_time and not failed and 0 or 1)
