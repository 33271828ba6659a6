-- coroutine.wrap over halo's coroutine.resume (bindings/tasks/coroutine.c), so that generators may
-- call halo. It fails like the standard one: an error in the coroutine is raised where it was
-- called, with its position in front where it is a string.

local core = require "halo.core"

local coroutines = {}

local resume = core.resume
local create, standard_yield = coroutine.create, coroutine.yield

local POSITIONS_BYTES = 8192 -- an error that is longer has come through thousands of coroutines

local function unwrap(ok, ...)
  if ok then
    return ...
  end
  local err = ...
  error(err, type(err) == "string" and #err < POSITIONS_BYTES and 2 or 0)
end

---@async
local function wrap(fn)
  if type(fn) ~= "function" then
    core.raise(("bad argument #1 to 'wrap' (function expected, got %s)"):format(type(fn)))
  end
  local co = create(fn)
  return function(...)
    return unwrap(resume(co, ...))
  end
end

local function yield(...)
  if core.in_task() then
    core.raise "attempt to yield from outside a coroutine"
  end
  return standard_yield(...)
end

---Puts the functions into the global table coroutine, once.
function coroutines.install()
  if coroutine.wrap ~= wrap then
    coroutine.wrap = wrap -- luacheck: ignore 122
    coroutine.resume = core.resume -- luacheck: ignore 122
    coroutine.status = core.co_status -- luacheck: ignore 122
    coroutine.yield = yield -- luacheck: ignore 122
    coroutine.isyieldable = core.co_isyieldable -- luacheck: ignore 122
  end
end

return coroutines
