-- An output handler for busted (`-o spec/support/at_once.lua`), for runs that take long or may not
-- come to their end: each failure is told when it happens, and after each file its time and the sum
-- so far, in the words that test.sh looks for. The sum at the end is that of the plain handler.

local busted = require "busted"
local plain = require "busted.outputHandlers.plainTerminal"
local posix = require "spec.support.posix"

local function say(text, ...)
  io.stdout:write(text:format(...))
  io.stdout:flush()
end

local function full_name(element)
  local names = {}
  while element and (element.name or #names == 0) do
    table.insert(names, 1, element.name or element.descriptor) -- after_each has no name
    element = busted.parent(element)
  end
  return table.concat(names, " > ")
end

---What was raised: a text, or a table of luassert's with one.
local function text_of(message)
  return type(message) == "table" and tostring(message.message or message) or tostring(message)
end

local function tell(element, _, message, trace)
  local place = type(trace) == "table" and trace.traceback or ""
  say("\n-- failed: %s\n%s%s\n", full_name(element), text_of(message), place)
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
    return nil, true
  end)
  busted.subscribe({ "file", "start" }, function()
    started = os.time()
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
