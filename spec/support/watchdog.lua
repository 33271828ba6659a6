-- Says where everything waits when a run hangs. test.sh sends an interrupt when the time is up,
-- after it has shown the threads (watched.sh); it is raised where the test waits, and then this
-- tells of the test and of all tasks, and ends the run.

local busted = require "busted"
local halo = require "halo"

local INTERRUPTED = 130

local function show_task(info, indent, lines)
  local word = info.waits_for or info.status
  local since = info.since and (" for %.1f s"):format(halo.now() - info.since) or ""
  lines[#lines + 1] = ("%stask %d: %s%s at %s, started at %s"):format(indent, info.id, word, since,
    info.at or "?", info.spawned_at or "?")
  for _, child in ipairs(info.children) do
    show_task(child, indent .. "  ", lines)
  end
end

---The live tasks, one a line.
---@return string
local function describe_tasks()
  local lines = {}
  for _, info in ipairs(halo.tasks()) do
    show_task(info, "  ", lines)
  end
  return table.concat(lines, "\n")
end

local function full_name(element)
  local names = {}
  while element and element.name do
    table.insert(names, 1, element.name)
    element = busted.parent(element)
  end
  return table.concat(names, " > ")
end

---Whether the error is that of an interrupt that somebody has sent to all of us; busted may have
---put a place before it.
local function is_interrupt(message)
  local text = tostring(message)
  return text == "interrupted" or text:find "^[^\n]*: interrupted$" ~= nil
end

busted.subscribe({ "error" }, function(element, _, message, trace)
  if not is_interrupt(message) then
    return
  end
  io.stdout:write("\n\nthe run was interrupted in: ", full_name(element), "\n",
    type(trace) == "table" and tostring(trace.traceback or trace.message) or tostring(trace),
    "\ntasks:\n", describe_tasks(), "\n")
  local stats = halo.stats()
  for _, name in ipairs { "in_flight", "queued", "files_open", "timers", "tasks", "turns" } do
    io.stdout:write(("  %s: %d\n"):format(name, stats[name]))
  end
  io.stdout:flush()
  os.exit(INTERRUPTED)
end)
