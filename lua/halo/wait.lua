-- How a call that has waited comes back: its C half cannot raise an error when it is resumed, so
-- that it returns one, and the Lua half around it raises.

local core = require "halo.core"

local error, mark = error, core.mark

local wait = {}

---Of true and results, or false and an error: returns the results or raises the error. A task that
---ended meanwhile with many results leaves them to be fetched.
---@return ...
function wait.settle(ok, ...)
  if ok then
    return ...
  end
  local err, task = ...
  if err == mark then
    return wait.settle(core.outcome(task))
  end
  error(err, 0)
end

---Of nil, message, code: returns them, or raises where they stand for a cancellation.
---@return nil
---@return string message
---@return string code
function wait.refused(message, code)
  if code == mark then
    error(message, 0)
  end
  return nil, message, code
end

---Of a value, or nil, message, code: returns them, or raises a cancellation.
---@return any? value
---@return string? message
---@return string? code
function wait.checked(value, message, code)
  if value == nil then
    return wait.refused(message, code)
  end
  return value
end

---A host's messages lack the line of its caller, and its name.
local function fail(err, name)
  if type(err) == "string" then
    core.raise((err:gsub("^(bad argument #%d+ to )'%?'", "%1'" .. name .. "'")))
  end
  error(err, 0)
end

local function given(name, ok, ...)
  local err, cause, code = ...
  if not ok then
    fail(err, name)
  elseif code == mark then
    fail(cause, name)
  end
  return ...
end

---A function over a host's, which may wait, and returns nil, an error and the mark for an error.
---@param fn fun(...): ...
---@param name string for messages
---@return fun(...): ...
function wait.wrap(fn, name)
  return function(...)
    return given(name, pcall(fn, ...))
  end
end

---As pcall, but the traceback of an error is kept for the report of the task that fails by it.
---@return boolean ok
---@return ...
function wait.guard(fn, ...)
  return xpcall(fn, core.note, ...)
end

return wait
