-- busted's helper (see .busted): after each test, nothing of halo's may be left that was not there
-- before it: no operation in flight, no open file, no timer, no task. A file that was only dropped
-- is no leak, since its finalizer closes it.

local busted = require "busted"
local halo = require "halo"
local slowness = require "spec.support.slowness"
require "spec.support.watchdog"

local PATIENCE_S = 2 * slowness -- what was cancelled may take a moment to let go
local TURNS = 3 -- of the loop, to close what the collector has found

local kinds = {
  { counter = "in_flight", name = "operations in flight" },
  { counter = "files_open", name = "open files" },
  { counter = "timers", name = "timers" },
  { counter = "tasks", name = "tasks" },
}

local before
local test, failed

---What there is more of than before the test, in words; nil where there is nothing.
local function leaked()
  local now, found = halo.stats(), {}
  for _, kind in ipairs(kinds) do
    local more = now[kind.counter] - before[kind.counter]
    if more > 0 then
      table.insert(found, ("%s: %d"):format(kind.name, more))
    end
  end
  return #found > 0 and table.concat(found, ", ") or nil
end

local function collect()
  collectgarbage()
  collectgarbage()
  for _ = 1, TURNS do
    halo.yield()
  end
end

---Gives what the test has left the chance to go.
local function settle()
  local deadline = halo.now() + PATIENCE_S
  while leaked() do
    collect()
    if not leaked() or halo.now() > deadline then
      return
    end
    halo.sleep(0.001)
  end
end

local function full_name(element)
  local names = {}
  while element and element.name and element.descriptor ~= "file" do
    table.insert(names, 1, element.name)
    element = busted.parent(element)
  end
  return table.concat(names, " ")
end

busted.subscribe({ "test", "start" }, function(element)
  test = full_name(element)
end)

busted.subscribe({ "test", "end" }, function(_, _, status)
  failed = status == "failure" or status == "error"
end)

busted.before_each(function()
  before = halo.stats()
end)

busted.after_each(function()
  settle()
  local rest = leaked()
  -- A test that has failed had no chance to clean up: one report is enough.
  if rest and not failed then
    error(("left behind by '%s': %s"):format(test, rest), 0)
  end
end)
