-- How a step makes its call: plainly, or in one of the places that a program may call from. The
-- outcome is one of three: it was done, it was refused, or it was cut short by a cancellation.

local halo = require "halo"

local attempt = {}

local function pack(...)
  return { n = select("#", ...), ... }
end

local ways = {}

function ways.plain(_, call)
  call()
end

function ways.timeout(step, call)
  halo.timeout(step.seconds, call)
end

function ways.shield(_, call)
  halo.shield(call)
end

function ways.scope(step, call)
  halo.scope(function(scope)
    scope:spawn(call)
    halo.sleep(step.seconds)
    scope:cancel()
  end)
end

function ways.race(step, call)
  halo.race { call, function() halo.sleep(step.seconds) end }
end

function ways.generator(_, call)
  local generator = coroutine.wrap(function()
    call()
    coroutine.yield()
  end)
  generator()
end

---Makes a call where LuaJIT cannot yield, so that it waits on the spot: nobody else runs meanwhile.
function attempt.on_the_spot(call)
  local called = false
  table.sort({ 2, 1 }, function(a, b)
    if not called then
      called = true
      call()
    end
    return a < b
  end)
end

function ways.sort(_, call)
  attempt.on_the_spot(call)
end

---Those that a call may be made in that waits for other tasks, too.
attempt.ways = { "plain", "timeout", "shield", "scope", "race", "generator" }
---And those for a call that waits for the system alone.
attempt.all_ways = { "plain", "plain", "timeout", "shield", "scope", "race", "generator", "sort" }

---Codes of refusals that the weather may bring to any call. What was only interrupted, or was not
---ready, is tried again, and a cancel is told by an error.
local by_weather = {}
local codes = "EIO ENOMEM EMFILE ENFILE EROFS ENOSPC EDQUOT ENOLCK"
for code in codes:gmatch "%u+" do
  by_weather[code] = true
end
attempt.by_weather = by_weather

---@class Outcome
---@field done boolean? it succeeded; its results are in the array
---@field code string? it was refused
---@field cut boolean? it was cancelled: it may have happened or not
---@field err any what the task has to raise once it has taken note

---Makes a step's call.
---@param step table
---@param call fun(): ...
---@return Outcome
function attempt.make(step, call)
  local results
  local ok, err = pcall(ways[step.way or "plain"], step, function()
    results = pack(call())
  end)
  if not ok and not halo.is_cancelled(err) then
    error(err, 0)
  end
  local outcome = { err = not ok and err or nil }
  if not results then
    outcome.cut = true
  elseif results[1] == nil and results.n >= 3 then
    outcome.code = results[3]
  else
    outcome.done = true
    for i = 1, results.n do
      outcome[i] = results[i]
    end
  end
  return outcome
end

---Goes on with the cancellation of the task, where that has come.
function attempt.settle(outcome)
  if outcome.err then
    error(outcome.err, 0)
  end
end

return attempt
