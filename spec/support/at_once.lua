-- An output handler for busted (`-o spec/support/at_once.lua`), for runs that take long or may not
-- come to their end: each failure is told when it happens, and after each file its time and the sum
-- so far, in the words that test.sh looks for. The sum at the end is that of the plain handler.
-- Of those that failed while the machine stood still test.sh hears, by stalls.lua.

local busted = require "busted"
local halo = require "halo"
local plain = require "busted.outputHandlers.plainTerminal"
local posix = require "spec.support.posix"
local stalls = require "spec.support.stalls"

local began, ended = 0, 0 -- the test or what belongs to it, and the one before

local function say(text, ...)
  io.stdout:write(text:format(...))
  io.stdout:flush()
end

---Of a test, or of what belongs to one, and of all that it is in: the first is the file's.
local function names_of(element)
  local names = {}
  while element and (element.name or #names == 0) do
    table.insert(names, 1, element.name or element.descriptor) -- after_each has no name
    element = busted.parent(element)
  end
  return names
end

---What was raised: a text, or a table of luassert's with one.
local function text_of(message)
  return type(message) == "table" and tostring(message.message or message) or tostring(message)
end

local function tell(element, _, message, trace)
  local place = type(trace) == "table" and trace.traceback or ""
  local names = names_of(element)
  say("\n-- failed: %s\n%s%s\n-- so far\n", table.concat(names, " > "), text_of(message), place)
  local stalled_s = stalls.since(began)
  if stalled_s > 0 then
    say("-- the machine stood still for %.0f ms meanwhile\n", stalled_s * 1e3)
    stalls.excuse(names[1])
  end
  return nil, true -- others want to hear of it as well
end

return function(options)
  local handler = plain(options)
  local home = posix.getcwd()
  local started

  busted.subscribe({ "failure" }, tell)
  busted.subscribe({ "error" }, tell)
  -- A spec that failed elsewhere must not take those after it along: all files are found from here.
  busted.subscribe({ "test", "end" }, function()
    posix.chdir(home)
    ended = halo.now()
    return nil, true
  end)
  busted.subscribe({ "test", "start" }, function() -- its before_each has run by now
    began = ended
    return nil, true
  end)
  busted.subscribe({ "file", "start" }, function()
    started = os.time()
    began, ended = halo.now(), halo.now()
    return nil, true
  end)
  busted.subscribe({ "file", "end" }, function(file)
    say("\n%s: %d s, and so far\n", file.name:match "[^/]*$", os.time() - started)
    say("%d successes / %d failures / %d errors / %d pending : %d seconds\n",
      handler.successesCount, handler.failuresCount, handler.errorsCount, handler.pendingsCount,
      handler.getDuration())
    return nil, true
  end)
  return handler
end
