-- checksum.lua [directory]: the CRC-32 (that of gzip) and the path of every file of a tree, sorted
-- by path, many of them read at once. Exit status 1 if something was unreadable.
local halo = require "halo"
local fs = require "halo.fs"
local ffi = require "ffi"
local piece_size, failed = 64 * 1024, false

local function report(refusal)
  failed = true
  io.stderr:write("checksum: ", refusal, "\n")
end

local remainders = ffi.new("int32_t[256]") -- of each byte, divided by the CRC's polynomial
for byte = 0, 255 do
  local rest = byte
  for _ = 1, 8 do
    rest = bit.bxor(bit.rshift(rest, 1), bit.band(-bit.band(rest, 1), 0xEDB88320))
  end
  remainders[byte] = rest
end

local spare_buffers = {} -- one for each of the files that are read at once is all it takes
local function checksum(path)
  local file, refusal = fs.open(path)
  if not file then return report(refusal) end
  local buffer = table.remove(spare_buffers) or halo.buffer(piece_size)
  local bytes, crc, count = buffer:ptr(), -1
  repeat
    count, refusal = file:read_into(buffer, piece_size)
    for i = 0, (count or 0) - 1 do
      crc = bit.bxor(remainders[bit.band(bit.bxor(crc, bytes[i]), 255)], bit.rshift(crc, 8))
    end
  until not count or count == 0
  table.insert(spare_buffers, buffer)
  file:close()
  return count and bit.tohex(bit.bnot(crc)) or report(refusal)
end

local files, level = {}, { arg[1] or "." }
while #level > 0 do
  local lists = { dir = {}, file = files }
  halo.map(level, function(directory)
    local entries, refusal = fs.readdir(directory)
    if not entries then return report(refusal) end
    for _, entry in ipairs(entries) do
      local path = directory:match("^(.-)/*$") .. "/" .. entry.name
      local told = entry.type == "unknown" and fs.lstat(path) or entry -- not every system tells
      if lists[told.type] then table.insert(lists[told.type], path) end
    end
  end)
  level = lists.dir
end

table.sort(files)
local sums = halo.map(files, checksum)
for i, path in ipairs(files) do
  if sums[i] then print(sums[i] .. "  " .. path) end
end
os.exit(failed and 1 or 0)
