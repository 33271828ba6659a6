-- The options of the command, as luajit has them and a few more: what they are, and what was given.

local options = {}

local ENGINES = { auto = true, ring = true, pool = true }

---Each with what it is for; the manual has them from here, too.
options.list = {
  { "-e CODE", "run CODE; halo and fs are at hand in it" },
  { "-l NAME", "require the module NAME" },
  { "-i", "go on at a prompt afterwards; alone, or on a terminal, start there" },
  { "-", "run standard input, which is done anyway where it is no terminal" },
  { "-v, --version", "say the versions, and the engine and why it was chosen" },
  { "-E", "ignore LUA_INIT, LUA_PATH and LUA_CPATH" },
  { "-j CMD", "control LuaJIT: on, off, flush, v, p or dump, with =ARG behind it" },
  { "-O[OPT]", "LuaJIT's optimisations: a level, or +NAME, -NAME, NAME=N" },
  { "-b ...", "save or list bytecode, as luajit -b" },
  { "--warn-blocking[=MS]", "tell which task holds the others up for MS (10) milliseconds" },
  { "--lfs", "require \"lfs\" gives LuaFileSystem's functions on halo's calls" },
  { "--allow-read=A,B", "reach nothing but these files and directories, to read" },
  { "--allow-write=A,B", "likewise, to read and write; both imply --no-ffi --no-exec" },
  { "--no-ffi", "take away ffi, C modules, and debug but for traceback and getinfo" },
  { "--no-exec", "start no programs" },
  { "--allow-ffi", "with --allow-read or -write: leave all that, which no fence holds" },
  { "--allow-exec", "likewise: let programs be started, behind the same fence" },
  { "--allow-bytecode", "load bytecode, too, which can do anything" },
  { "--engine=NAME", "auto (default), ring or pool; or HALO_ENGINE in the environment" },
  { "--stock-io", "leave io, os and print to LuaJIT, where a call that waits holds up every task" },
  { "--man", "print the manual page: halo --man | man -l -" },
  { "-h, --help", "say this" },
  { "--", "what follows is no option" },
}

options.commands = {
  { "doctor", "say how halo works here, and what to do where it could work better" },
  { "check FILE...", "compile the files and run none" },
}

local function format(list)
  local lines = {}
  for i, entry in ipairs(list) do
    lines[i] = ("  %-15s  %s\n"):format(entry[1], entry[2])
  end
  return table.concat(lines)
end

options.usage = "usage: halo [options] [script [args]]\n" .. format(options.list)
  .. "or: halo COMMAND\n" .. format(options.commands)
  .. "The manual has the exit codes. A script named as a command is run by ./NAME.\n"

---@class halo.GivenOptions
---@field steps string[][] letter and argument of what is to be done, in order
---@field script integer where in the arguments the script's name is
---@field interactive boolean?
---@field version boolean?
---@field help boolean?
---@field manual boolean?
---@field lfs boolean?
---@field no_environment boolean?
---@field stock_io boolean?
---@field engine string?
---@field warn_blocking integer? milliseconds
---@field allow_read string[]? paths
---@field allow_write string[]? paths
---@field no_ffi boolean?
---@field no_exec boolean?
---@field allow_ffi boolean?
---@field allow_exec boolean?
---@field allow_bytecode boolean?

local flags = {
  ["-i"] = "interactive",
  ["-v"] = "version", ["--version"] = "version",
  ["-h"] = "help", ["--help"] = "help",
  ["-E"] = "no_environment",
  ["--man"] = "manual",
  ["--stock-io"] = "stock_io",
  ["--lfs"] = "lfs",
  ["--no-ffi"] = "no_ffi", ["--allow-ffi"] = "allow_ffi",
  ["--no-exec"] = "no_exec", ["--allow-exec"] = "allow_exec",
  ["--allow-bytecode"] = "allow_bytecode",
}

---An option with an argument: behind the letter, or the next word.
local function parse_step(given, argv, i)
  local letter, text = argv[i]:match "^%-([eljO])(.*)$"
  if not letter then
    return nil, "unknown option " .. argv[i]
  elseif text == "" and letter ~= "O" then
    i = i + 1
    text = argv[i]
    if not text then
      return nil, ("-%s needs %s"):format(letter, letter == "e" and "CODE" or "a NAME")
    end
  end
  table.insert(given.steps, { letter, text })
  return i
end

local function parse_engine(given, name)
  if not ENGINES[name] then
    return nil, ("unknown engine '%s': auto, ring or pool"):format(name)
  end
  given.engine = name
  return true
end

-- More than the kernel takes away from a program at a time, or a step of the collector; less than
-- an eye sees.
local BLOCKING_MS, BLOCKING_MAX_MS = 10, 3600000

local function parse_warn_blocking(given, word)
  local text = word:match "^%-%-warn%-blocking=(%d+)$"
  local ms = word == "--warn-blocking" and BLOCKING_MS or tonumber(text)
  if not ms or ms < 1 or ms > BLOCKING_MAX_MS then
    return nil, word .. ": a whole number of milliseconds from 1 to " .. BLOCKING_MAX_MS
  end
  given.warn_blocking = ms
  return true
end

---Paths, with commas between them, of --allow-read or --allow-write.
local function parse_paths(given, which, text)
  local field = "allow_" .. which
  given[field] = given[field] or {}
  for path in text:gmatch "[^,]+" do
    table.insert(given[field], path)
  end
  if #given[field] == 0 then
    return nil, ("--allow-%s needs paths, such as --allow-%s=."):format(which, which)
  end
  return true
end

---What does not go together.
local function check_fence(given)
  local has_paths = given.allow_read or given.allow_write
  for _, what in ipairs { "ffi", "exec" } do
    if given["allow_" .. what] and given["no_" .. what] then
      return nil, ("--allow-%s and --no-%s contradict each other"):format(what, what)
    elseif given["allow_" .. what] and not has_paths then
      return nil, ("--allow-%s goes with --allow-read or --allow-write"):format(what)
    end
  end
  return given
end

---@param argv string[]
---@return halo.GivenOptions?
---@return string? message what is wrong with them
function options.parse(argv)
  local given = { steps = {} }
  local i = 1
  while i <= #argv do
    local word = argv[i]
    local ok, message = i, nil
    if word:sub(1, 1) ~= "-" or word == "-" then
      break
    elseif word == "--" then
      i = i + 1
      break
    elseif word:match "^%-b" then
      table.insert(given.steps, { "b", { unpack(argv, i) } })
      i = #argv + 1
      break
    elseif flags[word] then
      given[flags[word]] = true
    elseif word:match "^%-%-warn%-blocking" then
      ok, message = parse_warn_blocking(given, word)
    elseif word:match "^%-%-engine=" then
      ok, message = parse_engine(given, word:match "=(.*)")
    elseif word:match "^%-%-allow%-read$" or word:match "^%-%-allow%-write$" then
      ok, message = parse_paths(given, word:match "(%w+)$", "")
    elseif word:match "^%-%-allow%-%w+=" then
      local which, paths = word:match "^%-%-allow%-(%w+)=(.*)"
      if which == "read" or which == "write" then
        ok, message = parse_paths(given, which, paths)
      else
        ok, message = nil, "unknown option " .. word
      end
    else
      ok, message = parse_step(given, argv, i)
      i = ok or i
    end
    if not ok then
      return nil, message
    end
    i = i + 1
  end
  given.script = i
  return check_fence(given)
end

return options
