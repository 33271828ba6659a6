-- follow.lua file...: what is appended to logs from now on, line by line, each behind its file's
-- name. A log that is rotated away is read to its end; then the new one of that name is followed.
-- One that is emptied is followed from its start.
local halo = require "halo"
local fs = require "halo.fs"

if not arg[1] then
  io.stderr:write("usage: follow.lua file...\n")
  os.exit(2)
end

-- Prints the whole lines that are there; what is behind them waits for its end.
local function show(path, file, rest)
  if file:stat("size") < file:tell() then
    file:seek("set", 0)
    rest = ""
  end
  local prefix = path:gsub("%%", "%%%%") .. ": %0" -- a "%" of the path is no place in the match
  for piece in function() return file:read(65536) end do
    rest = rest .. piece
    local lines, after = rest:match("^(.*\n)(.*)$")
    if lines then
      halo.stdout:write((lines:gsub("[^\n]*\n", prefix)))
      rest = after
    end
  end
  halo.stdout:flush()
  return rest
end

local function follow(path)
  -- The directory tells of a new file of that name as well. It is watched before the file is
  -- opened, so that nothing is missed in between.
  local name = halo.path.basename(path)
  local watch = fs.watch(halo.path.dirname(path))
  local file, rest = fs.open(path), ""
  if file then file:seek("end") end
  for event in watch do
    if event.name == name then
      if file then rest = show(path, file, rest) end
      if event.type == "create" or event.type == "move" or not file then
        if file then file:close() end
        if rest ~= "" then halo.stdout:write(path, ": ", rest, "\n") end
        file, rest = fs.open(path), ""
        if file then rest = show(path, file, rest) end
      end
    elseif event.type == "overflow" and file then
      rest = show(path, file, rest)
    end
  end
end

halo.map(arg, follow, #arg)
