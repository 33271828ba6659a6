-- cat.lua [file ...]: copies files to standard output, one after the other; `-` or no name at all
-- stands for standard input. A file that cannot be read is reported, passed over, and makes the
-- exit status 1.

local fs = require "halo.fs"

local piece_size = 1024 * 1024
local failed = false

local function copy(path)
  local file, refusal = fs.open(path)
  if not file then return nil, refusal end
  local piece
  repeat
    piece, refusal = file:read(piece_size)
    if piece then assert(io.stdout:write(piece)) end
  until not piece or piece == ""
  file:close()
  return piece, refusal
end

if #arg == 0 then arg[1] = "-" end
io.stdout:setvbuf("no") -- the pieces are large, and an error shows at once
for _, name in ipairs(arg) do
  local copied, refusal = copy(name == "-" and "/dev/stdin" or name)
  if not copied then
    failed = true
    io.stderr:write("cat: ", refusal, "\n")
  end
end
os.exit(failed and 1 or 0)
