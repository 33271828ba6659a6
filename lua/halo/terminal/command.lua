-- The command line: `halo [options] [script [args]]`. bindings/main.c runs main() as a task and
-- exits with the status that it returns.

local core = require "halo.core"
local halo_io = require "halo.io"
local loader = require "halo.loader"

local command = {}

local EXIT_OK, EXIT_ERROR, EXIT_USAGE, EXIT_INTERRUPTED = 0, 1, 2, 130

local ENGINES = { auto = true, ring = true, pool = true }

local USAGE = [==[
usage: halo [options] [script [args]]
  -e CODE          run CODE
  -i               go on at a prompt afterwards; alone, or on a terminal, start there
  -v, --version    say the versions, and the engine and why it was chosen
  --engine=NAME    auto (default), ring or pool; or HALO_ENGINE in the environment
  -h, --help       say this
  --stock-io       leave io, os and print to LuaJIT, where a call that waits holds up every task
  -                run standard input
]==]

local function usage_error(message)
  io.stderr:write("halo: ", message, "\n", USAGE)
  return EXIT_USAGE
end

---@return table? options
---@return string? message what is wrong with them
local function parse(argv)
  local options = { chunks = {} }
  local i = 1
  while i <= #argv do
    local word = argv[i]
    if word:sub(1, 1) ~= "-" or word == "-" then
      break
    elseif word == "--" then
      i = i + 1
      break
    elseif word == "-e" then
      i = i + 1
      if not argv[i] then
        return nil, "-e needs CODE"
      end
      table.insert(options.chunks, argv[i])
    elseif word == "-i" then
      options.interactive = true
    elseif word == "--stock-io" then
      options.stock_io = true
    elseif word == "-v" or word == "--version" then
      options.version = true
    elseif word == "-h" or word == "--help" then
      options.help = true
    elseif word:match("^%-%-engine=") then
      options.engine = word:match("=(.*)")
      if not ENGINES[options.engine] then
        return nil, ("unknown engine '%s': auto, ring or pool"):format(options.engine)
      end
    else
      return nil, "unknown option " .. word
    end
    i = i + 1
  end
  options.script = i
  return options
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
    io.stdout:flush()
    io.stderr:write(report, "\n")
  end
  if not ok then
    core.cancel_all() -- who fails takes along what it has started
  end
  return ok
end

---Writes what files have in their buffers. A reader that has gone away knows why.
---@return boolean
local function finish_writing()
  halo_io.finish()
  io.stdout:flush()
  local ok, message, code = core.finish_writing()
  if not ok and code ~= "EPIPE" then
    io.stderr:write("halo: ", message, "\n")
  end
  return ok or false
end

---A script may end the process from anywhere: what is under way is ended first.
local function replace_exit()
  local exit = os.exit
  os.exit = function(code) -- luacheck: ignore 122
    local ok = finish_writing()
    core.shutdown()
    if not ok and (code == nil or code == true or code == 0) then
      code = false
    end
    exit(code == nil or code, true)
  end
end

---What print, io and other programs write to standard output comes behind what halo.stdout has in
---its buffer; the other way round it is halo.stdout that sees to it.
local function keep_output_in_order()
  local stdout, files = io.stdout, debug.getmetatable(io.stdout)
  local write_file = files.__index.write
  local function settled_first(fn)
    return function(...)
      core.settle_stdout()
      return fn(...)
    end
  end
  _G.print, io.write = settled_first(print), settled_first(io.write) -- luacheck: ignore 122
  os.execute, io.popen = settled_first(os.execute), settled_first(io.popen) -- luacheck: ignore 122
  files.__index.write = function(...)
    if ... == stdout then
      core.settle_stdout()
    end
    return write_file(...)
  end
end

---One-liners and the prompt have the modules at hand.
local function set_globals()
  _G.halo = _G.halo or require "halo"
  _G.fs = _G.fs or require "halo.fs"
end

local function run_all(options, argv)
  if #options.chunks > 0 then
    set_globals()
  end
  for _, code in ipairs(options.chunks) do
    local chunk, message = load(code, "=(command line)", "t")
    if not run(chunk, message) then
      return false
    end
  end
  local script = argv[options.script]
  if not script then
    return true
  end
  local arg = set_arg(argv, options.script)
  local path = script ~= "-" and script or nil
  local chunk, message = loader.loadfile(path)
  core.configurable()
  return run(chunk, message, unpack(arg))
end

local function wants_prompt(options, argv)
  if options.interactive then
    return true
  end
  return not argv[options.script] and #options.chunks == 0 and not options.version
end

local verbose = false

local BANNER = "halo %s, %s, Linux %s. :help says what there is, Ctrl-D leaves."

local function prompt_options(means)
  local _, _, kernel, version = core.engine()
  return {
    is_terminal = means.is_terminal(0) and means.is_terminal(1),
    catch_interrupts = means.catch_interrupts,
    banner = BANNER:format(version, jit.version, kernel),
  }
end

---@param argv string[] the program's name at 0
---@param means table what only the command can do: is_terminal(fd), catch_interrupts()
---@return integer status
function command.main(argv, means)
  local options, message = parse(argv)
  if not options then
    return usage_error(message)
  end
  if options.help then
    io.stdout:write(USAGE)
    return EXIT_OK
  end
  if options.engine then
    core.choose_engine(options.engine)
  end
  core.engine()
  replace_exit()
  core.is_command = true
  if options.stock_io or not halo_io.install() then
    keep_output_in_order()
    loader.install()
  end
  if options.version then
    verbose = true
    print_version()
  end
  set_arg(argv, options.script)
  local ok = run_all(options, argv)
  if ok and wants_prompt(options, argv) then
    set_globals()
    return require("halo.terminal.prompt").run(prompt_options(means))
  end
  return ok and EXIT_OK or EXIT_ERROR
end

---Called when every task has ended.
---@param status integer what main() returned
---@return integer status for exit()
function command.finish(status)
  if verbose then
    for _, path in ipairs(core.open_files()) do
      io.stderr:write("halo: never closed: ", path, "\n")
    end
  end
  local ok = finish_writing()
  if core.interrupted() then
    return EXIT_INTERRUPTED
  end
  return status == EXIT_OK and (not ok or core.failures() > 0) and EXIT_ERROR or status
end

return command
