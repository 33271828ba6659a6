-- What begins with a colon at the prompt.

local core = require "halo.core"
local help = require "halo.terminal.help"
local loader = require "halo.loader"

local commands = {}

---@class halo.Command
---@field usage string
---@field about string
---@field run fun(session: halo.Session, argument: string): function? a chunk to run, if any

---The live tasks that are not the prompt's own, a line each.
---@param session halo.Session
---@return string[]
function commands.tasks(session)
  local lines, now = {}, core.now()
  local list = core.tasks()
  table.sort(list, function(a, b) return a.id < b.id end)
  for _, info in ipairs(list) do
    if not session:is_own(info.task) then
      local since = info.since and (" %.1f s"):format(now - info.since) or ""
      local doing = info.waits_for and ("has waited%s for %s"):format(since, info.waits_for)
        or info.status
      lines[#lines + 1] = ("%5d  %s, at %s"):format(info.id, doing, info.at)
    end
  end
  return lines
end

---Whether there are any.
---@param session halo.Session
---@return boolean
function commands.has_tasks(session)
  for _, info in ipairs(core.tasks()) do
    if not session:is_own(info.task) then
      return true
    end
  end
  return false
end

local function print_lines(lines, none)
  print(lines[1] and table.concat(lines, "\n") or none)
end

local function run_tasks(session)
  print_lines(commands.tasks(session), "no tasks beside the prompt")
end

local function run_ops()
  local stats = core.stats()
  print(("%d in flight, %d queued, %d files open, %d timers"):format(stats.in_flight, stats.queued,
    stats.files_open, stats.timers))
  print(("%d so far: %d direct, %d by the ring, %d by the pool"):format(stats.retired, stats.direct,
    stats.ring, stats.pool))
end

local function run_cancel(session, argument)
  local id = tonumber(argument)
  for _, info in ipairs(core.tasks()) do
    if info.id == id and not session:is_own(info.task) then
      return core.cancel(info.task) and print("cancelled")
    end
  end
  print(id and ("there is no task %d: :tasks lists them"):format(id)
    or "of a task its number is wanted: :tasks lists them")
end

---The engine's counts tell which way the operations went.
local function run_time(session, argument)
  local fn, message = session.chunks:compile(argument)
  if not fn then
    return print("error: " .. message)
  end
  return function()
    local start, cpu, before = core.now(), os.clock(), core.stats()
    local function tell(...)
      local after = core.stats()
      print(("%.6f s, %.6f s of processor time, %d operations"):format(core.now() - start,
        os.clock() - cpu, after.retired - before.retired))
      return ...
    end
    return tell(fn())
  end
end

local function run_load(_, argument)
  if argument == "" then
    return print "of a file its path is wanted"
  end
  local fn, message = loader.loadfile(argument)
  if not fn then
    return print("error: " .. message)
  end
  return fn
end

local function run_help(_, argument)
  if argument ~= "" then
    return print(help.of(argument))
  end
  print "What is typed is Lua; its values are printed. A call that waits lets other tasks go on.\n"
  for _, name in ipairs(commands.order) do
    local command = commands.all[name]
    print(("  :%-14s %s"):format(command.usage, command.about))
  end
  print "\n  _              the latest value"
  print "  Tab            completes names, and paths in strings; Ctrl-R searches the history"
  print "  Ctrl-C         ends what runs; Ctrl-D leaves"
end

local function run_doc()
  print(help.list())
end

local function run_quit(session)
  session.ended = 0
end

commands.order = { "help", "doc", "tasks", "ops", "cancel", "time", "load", "quit" }

---@type table<string, halo.Command>
commands.all = {
  help = { usage = "help [name]", about = "this, or what a function does", run = run_help },
  doc = { usage = "doc", about = "the functions there are", run = run_doc },
  tasks = { usage = "tasks", about = "what runs in the background", run = run_tasks },
  ops = { usage = "ops", about = "the operations under way, and those so far", run = run_ops },
  cancel = { usage = "cancel N", about = "cancel a task", run = run_cancel },
  time = { usage = "time EXPR", about = "how long it takes", run = run_time },
  load = { usage = "load FILE", about = "run a file", run = run_load },
  quit = { usage = "quit", about = "leave", run = run_quit },
}

---Whether a line is a command beyond doubt: it may be a call of a method, too, among other lines.
---@param line string
---@return boolean
function commands.is_one(line)
  return commands.all[line:match("^:(%a+)$") or line:match("^:(%a+)%s")] ~= nil
end

---Runs a line that begins with a colon. A few letters will do where they fit one name alone.
---@param session halo.Session
---@param line string
---@return function? chunk what is to run as a line does
function commands.run(session, line)
  local word, argument = line:match("^:%s*(%a*)%s*(.-)%s*$")
  local found = commands.all[word] and { word } or {}
  for _, name in ipairs(found[1] and {} or commands.order) do
    if word ~= "" and name:sub(1, #word) == word then
      found[#found + 1] = name
    end
  end
  if #found > 1 then
    return print(("':%s' may be :%s"):format(word, table.concat(found, " or :")))
  elseif #found ~= 1 then
    return print(("no command ':%s': :help lists them"):format(word))
  end
  return commands.all[found[1]].run(session, argument)
end

return commands
