-- Digests of the contents of files.

local by_path = require "halo.fs.by_path"
local check = require "halo.fs.check"
local core = require "halo.core"
local checked = require("halo.wait").checked

---@class halo.fs
local fs = {}

function by_path.hash(base, path, algorithm)
  return checked(core.hash(base, path, algorithm))
end

---What tells a file's contents from others: "xxh3" (XXH3 of 64 bits, as xxhsum -H3 has it) is quick
---and good against chance, "sha256" also against somebody who means to deceive.
---@async
---@param path string|halo.File of a File all of it, whatever its position
---@param algorithm "xxh3"|"sha256"? "xxh3" by default
---@return string? digits hexadecimal, in lower case: 16, or 64
---@return string? message
---@return string? code "ESPIPE" for what is no file, but a stream
function fs.hash(path, algorithm, ...)
  check.no_more(3, "hash", ...)
  return by_path.hash(core.AT_FDCWD, path, algorithm)
end

return fs
