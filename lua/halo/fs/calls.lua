-- The calls of halo.fs that are one operation each. A call suspends its task and lets the others
-- run; one that the operating system refuses returns nil, a message and the code ("ENOENT").

local core = require "halo.core"

---@class halo.fs
local fs = {}

for _, part in ipairs { "halo.fs.data", "halo.fs.meta", "halo.fs.names" } do
  for name, value in pairs(require(part)) do
    fs[name] = value
  end
end

---@class halo.File
local File = core.File
local fstat, check_fields = fs.fstat, require("halo.fs.stat").check_fields

-- stylua: ignore
local methods = {
  "close", "flush", "setvbuf", "read", "pread", "read_into", "pread_into", "readv", "write",
  "pwrite", "fsync", "fdatasync", "ftruncate", "fchmod", "fchown", "futime", "fallocate", "fadvise",
  "sync_file_range", "seek", "tell", "lock", "unlock", "statfs", "getxattr", "setxattr",
  "listxattr", "removexattr", "fstat",
}
for _, name in ipairs(methods) do
  File[name] = fs[name]
end
File.chmod, File.chown = fs.fchmod, fs.fchown
File.utime, File.truncate = fs.futime, fs.ftruncate

---As fs.fstat.
---@async
---@param ... string
---@return halo.Stat|any? stat
---@return string? message
---@return string? code
function File:stat(...)
  check_fields("stat", ...)
  return fstat(self, ...)
end

---True until the file is closed.
---@return boolean
function File:is_open()
  return core.is_open(self)
end

---The path it was opened by.
---@return string
function File:path()
  return core.path(self)
end

---The descriptor, to look at and never to close; nil once it is closed.
---@return integer?
function File:fd()
  return core.fd(self)
end

return fs
