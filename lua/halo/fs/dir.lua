-- Directories entry by entry.

local by_path = require "halo.fs.by_path"
local check = require "halo.fs.check"
local check_cancelled = require "halo.cancellation"
local core = require "halo.core"
local iterator = require "halo.fs.iterator"
local turns = require "halo.fs.turns"
local wait = require "halo.wait"

---@class halo.fs
local fs = {}

---The next entries, none at the end. Of a directory that was removed meanwhile nothing is left.
local function read_batch(directory)
  local batch, message, code = wait.checked(core.getdents(directory))
  if not batch and code ~= "ENOENT" then
    core.raise(message)
  end
  return batch or {}
end

local CANCELLED = "ECANCELED: a task that shared the entries was cancelled"

---@async
local function refill(listing)
  local ok, result = turns.alone(listing, read_batch, listing.directory)
  listing.batch, listing.at = ok and result or {}, 1
  if not ok then
    listing.failure = type(result) == "string" and result or CANCELLED
  end
  if not listing.batch[1] then
    listing.ended = true
    core.close(listing.directory) -- for which a cancellation does not wait
  end
  if not ok then
    error(result, 0)
  end
  return listing.batch[1]
end

local iterate = iterator(function(listing)
  return function()
    if listing.busy then
      turns.await(listing)
    end
    local at = listing.at + 1
    listing.at = at
    local entry = listing.batch[at] or not listing.ended and refill(listing)
    if not entry and listing.failure then
      check_cancelled()
      error(listing.failure, 0)
    end
    if entry then
      return entry.name, entry.type
    end
  end
end)

function by_path.dir(base, path)
  check.path(path, 1, "dir")
  local directory, message = by_path.open(base, path, core.flags.RDONLY + core.flags.DIRECTORY)
  if not directory then
    core.raise(message)
  end
  local listing = {
    directory = directory, batch = {}, at = 0, ended = false, busy = false, failure = false,
  }
  return iterate(listing), directory
end

---The entries of a directory without "." and "..", one after the other and in the file system's
---order, in memory that does not grow with their number:
---
---    for name, type in fs.dir(path) do
---
---What the operating system refuses is raised here, as io.lines does. The directory is closed at
---the end; a loop that is left before leaves it to the collector, or to the caller's close of the
---second value.
---@async
---@param path string
---@return fun(): string?, string? # a name and its type, as in fs.readdir
---@return halo.File directory
function fs.dir(path, ...)
  check.no_more(2, "dir", ...)
  return by_path.dir(core.AT_FDCWD, path)
end

return fs
