-- The command line: `halo [options] [script [args]]`. bindings/main.c runs main() as a task and
-- exits with the status that it returns.

local core = require "halo.core"
local fence = require "halo.terminal.fence"
local halo_io = require "halo.io"
local loader = require "halo.loader"
local options = require "halo.terminal.options"

local command = {}

local EXIT_OK, EXIT_ERROR, EXIT_USAGE = 0, 1, 2
local EPIPE = 32

local function usage_error(message)
  io.stderr:write("halo: ", message, "\n", options.usage)
  return EXIT_USAGE
end

---Fills arg as luajit does: the script at 0, what comes before it below.
local function set_arg(argv, script)
  local arg = {}
  for i = 0, #argv do
    arg[i - script] = argv[i]
  end
  _G.arg = arg
  return arg
end

local function print_version()
  local engine, reason, kernel, version = core.engine()
  print(("halo %s, %s, Linux %s"):format(version, jit.version, kernel))
  print(("engine: %s (%s)"):format(engine, reason))
  local edits, why_not = core.can_edit()
  print("prompt: " .. (edits and "edited by libedit" or "plain lines, " .. why_not))
end

---Runs a chunk. An error is reported with its traceback; error(nil) ends silently.
---@return boolean
local function run(chunk, message, ...)
  if not chunk then
    io.stderr:write("halo: ", message, "\n")
    return false
  end
  local silent, reported
  local ok, report = xpcall(chunk, function(value)
    silent = value == nil or value == core.cancelled or value == core.uncertain
    local text = core.report("halo", value)
    reported = true
    return text
  end, ...)
  if not ok and not reported then -- the stack has no room left for the handler either
    report = "halo: " .. tostring(report)
  end
  if not ok and not silent then
    core.settle_stdout()
    pcall(io.stdout.flush, io.stdout) -- where it has been cancelled it goes out at the end
    io.stderr:write(report, "\n")
  end
  if not ok then
    core.cancel_all() -- who fails takes along what it has started
  end
  return ok
end

local File = debug.getmetatable(io.stdout).__index
local flush_file = File.flush

---What has become of what C has printed.
---@return boolean ok
---@return string? message
local function finish_printing()
  local ok, message, code = halo_io.finish()
  if ok then
    ok, message, code = flush_file(io.stdout)
  end
  if code == EPIPE then
    core.after_print(1)
  end
  if not ok then
    return false, "cannot write standard output: " .. message
  end
  return not core.stdout_failed(), "standard output could not be written in whole"
end

---Writes what files have in their buffers, and says what cannot be written. Where nobody reads what
---the command prints, it is to end by that, and says nothing: unless it was started so that it
---cannot.
---@return boolean ok
local function finish_writing(means)
  local printed, problem = finish_printing()
  local ok, message = core.finish_writing()
  local _, unread = core.stdout_failed()
  if unread and means.pipe_ignored then
    printed, problem, ok = false, "cannot write standard output: Broken pipe", true
  elseif unread then
    return false
  end
  for _, text in ipairs { not printed and problem, not ok and message } do
    if text then
      io.stderr:write("halo: ", text, "\n")
    end
  end
  return printed and ok
end

---A script may end the process from anywhere: what is under way is ended first.
local function replace_exit(means)
  local exit = os.exit
  os.exit = function(code) -- luacheck: ignore 122
    local ok = finish_writing(means)
    core.shutdown()
    if not ok and (code == nil or code == true or code == 0) then
      means.end_unread()
      code = false
    end
    exit(code == nil or code, true)
  end
end

---What is wrong with arguments is to be said in their caller's name.
local function are_texts(...)
  for i = 1, select("#", ...) do
    local kind = type((select(i, ...)))
    if kind ~= "string" and kind ~= "number" then
      return false
    end
  end
  return true
end

---What print, io and other programs write to standard output comes behind what halo.stdout has in
---its buffer; the other way round it is halo.stdout that sees to it.
local function keep_output_in_order()
  local fds = { [io.stdout] = 1, [io.stderr] = 2 }
  local print_plainly, settle, after_print = print, core.settle_stdout, core.after_print
  local function told(file, ok, ...)
    if not ok and select(2, ...) == EPIPE then
      after_print(fds[file])
    end
    return ok, ...
  end
  local function settled_first(fn)
    return function(...)
      settle()
      return fn(...)
    end
  end
  local function of_file(fn)
    return function(...)
      local file = ...
      if not fds[file] or not are_texts(select(2, ...)) then
        return fn(...)
      end
      settle()
      return told(file, fn(...))
    end
  end
  local function of_output(fn)
    return function(...)
      local file = io.output()
      if not fds[file] or not are_texts(...) then
        return fn(...)
      end
      settle()
      return told(file, fn(...))
    end
  end
  -- luacheck: push ignore 122
  _G.print = function(...)
    settle()
    print_plainly(...)
    after_print()
  end
  io.write, io.flush = of_output(io.write), of_output(io.flush)
  os.execute, io.popen = settled_first(os.execute), settled_first(io.popen)
  File.write, File.flush = of_file(File.write), of_file(flush_file)
  -- luacheck: pop
end

---One-liners and the prompt have the modules at hand.
local function set_globals()
  _G.halo = _G.halo or require "halo"
  _G.fs = _G.fs or require "halo.fs"
end

local function run_code(code, name)
  local chunk, message = load(code, name, "t")
  return run(chunk, message)
end

---What luajit runs before anything else.
local function run_init(given)
  local init = not given.no_environment and core.getenv "LUA_INIT"
  if not init then
    return true
  elseif init:sub(1, 1) == "@" then
    return run(loader.loadfile(init:sub(2)))
  end
  return run_code(init, "=LUA_INIT")
end

local steps = {
  e = function(code)
    set_globals()
    return run_code(code, "=(command line)")
  end,
  l = function(name)
    return run(require, nil, name)
  end,
  j = function(text)
    return run(core.module("halo.terminal.luajit").control, nil, text)
  end,
  O = function(text)
    return run(core.module("halo.terminal.luajit").optimise, nil, text)
  end,
  b = function(words)
    return run(core.module("halo.terminal.luajit").bytecode, nil, words)
  end,
}

local function run_script(given, argv, script)
  local arg = set_arg(argv, given.script)
  local path = script ~= "-" and script or nil
  local chunk, message = loader.loadfile(path)
  core.configurable()
  return run(chunk, message, unpack(arg))
end

---Without anything to run it is a prompt on a terminal, and elsewhere what comes from the input.
local function run_all(given, argv, has_terminal)
  if not run_init(given) then
    return false
  end
  local runs = given.version
  for _, step in ipairs(given.steps) do
    runs = runs or step[1] ~= "j" and step[1] ~= "O" and step[1] ~= "l"
    if not steps[step[1]](step[2]) then
      return false
    end
  end
  local script = argv[given.script]
  if not script and not runs and not given.interactive and not has_terminal then
    script = "-"
  end
  given.prompt = given.interactive or not script and not runs
  return not script or run_script(given, argv, script)
end

local verbose = false

local BANNER = "halo %s on %s: Lua at a prompt, each line a task.\n"
  .. ":help says what there is, Ctrl-D leaves."

local function prompt_options(means)
  local _, _, _, version = core.engine()
  return {
    is_terminal = means.is_terminal(0) and means.is_terminal(1),
    catch_interrupts = means.catch_interrupts,
    banner = BANNER:format(version, jit.version),
  }
end

---Compiles files and runs none of them.
---@param argv string[]
---@return integer status
local function check(argv)
  if not argv[2] then
    return usage_error "check needs a FILE, or -; a script of that name is ./check"
  end
  local status = EXIT_OK
  for i = 2, #argv do
    local chunk, message = loader.loadfile(argv[i] ~= "-" and argv[i] or nil)
    if not chunk then
      io.stderr:write("halo: ", message, "\n")
      status = EXIT_ERROR
    end
  end
  return status
end

local function doctor(argv)
  if argv[2] then
    return usage_error "doctor takes no arguments; a script of that name is ./doctor"
  end
  return core.module("halo.terminal.doctor").run() and EXIT_OK or EXIT_ERROR
end

local words = { check = check, doctor = doctor }

---What only prints something and does not need halo's loop.
local function say(given)
  if given.help then
    io.stdout:write(options.usage)
  elseif given.manual then
    io.stdout:write(core.module("halo.terminal.manual").text())
  else
    return nil
  end
  return EXIT_OK
end

---What is different in a command from Lua in another program. The fence comes around what the
---script is given.
---@return boolean? ok
---@return string? message
local function set_up(given, means, argv)
  core.is_command = true
  loader.install(given.allow_bytecode)
  if given.stock_io or not halo_io.install() then
    keep_output_in_order()
  end
  if given.lfs then
    require("halo.lfs").install()
  end
  local path = argv[given.script]
  local ok, message = fence.put_up(given, means.fence, path ~= "-" and path or nil)
  means.fence = nil -- nobody else is to have it
  if not ok then
    return nil, message
  end
  if given.engine then
    core.choose_engine(given.engine)
  end
  core.engine()
  replace_exit(means)
  if given.warn_blocking then
    core.warn_blocking(given.warn_blocking)
  end
  return true
end

---@param argv string[] the program's name at 0
---@param means table what only the command can do: is_terminal(fd), catch_interrupts()
---@return integer status
function command.main(argv, means)
  local given, message = options.parse(argv)
  if not given then
    return usage_error(message)
  end
  local status = say(given)
  if status then
    return status
  end
  local ok
  ok, message = set_up(given, means, argv)
  if not ok then
    io.stderr:write("halo: ", message, "\n")
    return EXIT_USAGE
  end
  if given.version then
    verbose = true
    print_version()
  end
  set_arg(argv, given.script)
  if words[argv[given.script]] then
    return words[argv[given.script]]({ unpack(argv, given.script) })
  end
  ok = run_all(given, argv, means.is_terminal(0))
  if ok and given.prompt then
    set_globals()
    return core.module("halo.terminal.prompt").run(prompt_options(means))
  end
  return ok and EXIT_OK or EXIT_ERROR
end

---Called when every task has ended.
---@param status integer what main() returned
---@param means table as main() got
---@return integer status for exit()
function command.finish(status, means)
  if verbose then
    for _, path in ipairs(core.open_files()) do
      io.stderr:write("halo: never closed: ", path, "\n")
    end
  end
  local ok = finish_writing(means)
  return status == EXIT_OK and (not ok or core.failures() > 0) and EXIT_ERROR or status
end

return command
