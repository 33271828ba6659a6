-- What the programs call of halo.fs where the way to call it matters: in one place.

local fs = require "halo.fs"

local calls = {}

---What a read gives: "" at the end of the file.
local function at_end(data, message, code)
  if data == nil and message == nil then
    return ""
  end
  return data, message, code
end

function calls.read(file, n)
  return at_end(fs.read(file, n))
end

function calls.pread(file, n, offset)
  if fs.pread then
    return at_end(fs.pread(file, n, offset))
  end
  return fs.read(file, n, offset)
end

function calls.pread_into(file, buffer, n, offset)
  if fs.pread_into then
    return fs.pread_into(file, buffer, n, offset)
  end
  return fs.read_into(file, buffer, n, offset)
end

function calls.write(file, data)
  return fs.write(file, data)
end

function calls.pwrite(file, data, offset)
  return (fs.pwrite or fs.write)(file, data, offset)
end

---@param kind "exclusive"|"shared"
function calls.lock(file, kind, seconds)
  if fs.pread then
    return fs.lock(file, kind, seconds)
  end
  return fs.lock(file, kind == "shared", seconds)
end

return calls
