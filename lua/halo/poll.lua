-- Waiting for a descriptor that halo knows nothing else of: a host's, or a C library's.

local core = require "halo.core"
local check = require "halo.fs.check"
local scope = require "halo.scope"
local wait = require "halo.wait"

local FD_MAX = 2 ^ 31 - 1

---@async
---@return integer? bits
---@return string? message
---@return string? code
local function await(fd, events, seconds)
  if seconds == nil then
    return wait.checked(core.poll(fd, events))
  elseif core.can_wait() then
    return scope.timeout(seconds, function()
      return wait.checked(core.poll(fd, events))
    end)
  end
  local bits, message, code = core.poll_now(fd, events, seconds)
  if bits == 0 then
    return nil, ("ETIMEDOUT: timed out after %g s"):format(seconds), "ETIMEDOUT"
  end
  return bits, message, code
end

---@class halo
local halo = {}

---Waits until a descriptor can be read or written without waiting. It has to stay open meanwhile.
---@async
---@param fd integer
---@param events ("r"|"w"|"rw")? "r" by default
---@param seconds number? how long at most
---@return ("r"|"w"|"rw")? ready those of the events that are; an error or an end counts as all
---@return string? message ETIMEDOUT when the time is up
---@return string? code
function halo.poll(fd, events, seconds, ...)
  check.no_more(4, "poll", ...)
  if events == nil then
    events = "r"
  end
  if check.number(fd, 1, "poll") % 1 ~= 0 or fd < 0 or fd > FD_MAX then
    local problem = "a number from 0 to %d expected, got %s"
    check.fail(problem:format(FD_MAX, fd), 1, "poll")
  elseif type(events) ~= "string" then
    check.type_error("string", events, 2, "poll")
  elseif not events:match "^[rw]+$" then
    check.fail('"r", "w" or "rw" expected', 2, "poll")
  elseif seconds ~= nil and (type(seconds) ~= "number" or seconds ~= seconds or seconds < 0) then
    check.fail("a number of seconds expected", 3, "poll")
  end
  local bits, message, code = await(fd, events, seconds)
  if not bits then
    return nil, message, code
  end
  return core.events_ready(bits, events)
end

return halo.poll
