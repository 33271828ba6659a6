-- cat.lua [file ...]: copies files to standard output, one after the other; `-`, or no name at all,
-- stands for standard input. Exit status 1 if something was unreadable.
local fs = require "halo.fs"

local piece_size = 1024 * 1024
local failed = false

local function report(refusal)
  failed = true
  io.stderr:write("cat: ", refusal, "\n")
end

local function copy(path)
  local file, refusal = fs.open(path)
  if not file then return report(refusal) end
  repeat
    local piece, trouble = file:read(piece_size)
    if trouble then report(trouble) end
    local written, reason = io.stdout:write(piece or "")
    if not written then -- nobody reads on, or the disk is full: nothing is left to do
      report("standard output: " .. reason)
      os.exit(1)
    end
  until not piece
  file:close()
end

io.stdout:setvbuf("no") -- the pieces are large, and an error shows at once
if #arg == 0 then arg[1] = "-" end
for _, name in ipairs(arg) do
  copy(name == "-" and "/dev/stdin" or name)
end
os.exit(failed and 1 or 0)
