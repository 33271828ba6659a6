-- The files that the jobs work on. All is written back to the disk and then in the cache, so that
-- no measurement waits for what another one left.

local halo = require "halo"
local fs = require "halo.fs"
local layout = require "spec.bench.layout"

local PIECE = 1024 * 1024

---Each makes what a job needs in the directory; count is that of the job, scaled.
local files = {}

local function write_big(path, size, piece)
  local file = assert(fs.open(path, "w"))
  for _ = 1, size / #piece do assert(file:write(piece)) end
  file:close()
end

local function write_tree(root, count, content_of)
  local folders, paths = layout.tree(root, count)
  assert(fs.mkdir(root))
  for _, folder in ipairs(folders) do assert(fs.mkdir(folder)) end
  local place = 0
  halo.map(paths, function(path)
    place = place + 1
    assert(fs.writefile(path, content_of(place)))
  end)
end

function files.read(directory)
  write_big(directory .. "/read.data", layout.READ_SIZE, ("halo"):rep(PIECE / 4))
end

function files.write(directory)
  write_big(directory .. "/write.data", layout.WRITE_SIZE, ("halo"):rep(PIECE / 4))
end

function files.write64(directory)
  assert(fs.mkdir(directory .. "/write"))
  for i = 0, layout.WRITE_FILES - 1 do
    write_big(directory .. "/write/" .. i, layout.WRITE64_SIZE, ("halo"):rep(PIECE / 4))
  end
end

---Lines of 1 to 120 characters.
function files.lines(directory)
  local lines, size = {}, 0
  for i = 1, 1e6 do
    local line = ("x"):rep(i * 31 % 120) .. "\n"
    if size + #line > PIECE then break end
    lines[i], size = line, size + #line
  end
  lines[#lines] = ("x"):rep(#lines[#lines] - 1 + PIECE - size) .. "\n"
  write_big(directory .. "/lines.data", 1024 * PIECE, table.concat(lines))
end

function files.names(directory, count)
  write_tree(directory .. "/names", count, function()
    return ""
  end)
end

function files.small(directory, count, name)
  local text = ("halo"):rep(layout.SMALL_MAX / 4)
  write_tree(directory .. "/" .. (name or "small"), count, function(i)
    return text:sub(1, 1024 + i * 997 % 7168)
  end)
end

function files.tree(directory)
  files.small(directory, 2000, "tree")
end

function files.logs(directory)
  assert(fs.mkdir(directory .. "/logs"))
end

function files.cycle(directory)
  assert(fs.mkdir(directory .. "/cycle"))
end

return files
