-- The module halo.fs. Each call suspends its task and lets the others run; one that the operating
-- system refuses returns nil, a message and the code. The plain calls are in halo.fs.calls. What is
-- built on them is in modules that are loaded on first use: a short script should not wait for what
-- it does not use.

local core = require "halo.core"
local calls = require "halo.fs.calls"
local check = require "halo.fs.check"
local modules = require "halo.fs.modules"
local checked = require("halo.wait").checked

---@class halo.fs
local fs = {}

for name, value in pairs(calls) do
  fs[name] = value
end

setmetatable(fs, {
  modules = modules, -- for callers that need the whole list
  __index = function(_, name)
    local module = modules[name]
    if not module then
      return nil
    end
    local value = core.module(module)[name]
    fs[name] = value
    return value
  end,
})

---As fs.hash, of the whole file.
---@async
---@param algorithm "xxh3"|"sha256"?
---@return string? digits
---@return string? message
---@return string? code
function core.File:hash(algorithm)
  check.file(self, 1, "hash")
  return checked(fs.hash(self, algorithm))
end

---As fs.lines, from the file's own position or an offset on.
---@async
---@param ... any as for fs.lines
---@return fun(): string?
function core.File:lines(...)
  return fs.lines(self, ...)
end

return fs
