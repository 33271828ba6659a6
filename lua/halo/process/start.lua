-- Starting a program: what its streams are, and what is closed when it has them.

local bit = require "bit"
local core = require "halo.core"
local check = require "halo.fs.check"
local fs = require "halo.fs"
local handle = require "halo.process.handle"
local options = require "halo.process.options"
local scope = require "halo.scope"
local wait = require "halo.wait"

local stdout = io and io.stdout -- a host may have taken that away
local PLACE = bit.bor(fs.flags.PATH, fs.flags.DIRECTORY)

---A refusal on the way: it is given to the caller when what was opened is closed.
local function give_up(message, code)
  error({ message = message, code = code }, 0)
end

local function opened_or_give_up(opened, file, message, code)
  if not file then
    give_up(message, code)
  end
  opened[#opened + 1] = file
  return file
end

---What was written before is to come before what the process writes.
---@async
local function flush(file)
  local ok, message, code = file:flush()
  if not ok then
    give_up(message, code)
  end
end

---@async
---@return halo.File? its the process's, nil where it is this process's own
---@return halo.File? our other end of a pipe
local function open_stream(opened, given, which)
  if given == "inherit" then
    return nil
  elseif given == "null" then
    return opened_or_give_up(opened, core.null())
  elseif check.is_file(given) then
    if which ~= "stdin" and core.gathers(given) then
      flush(given)
    end
    return given
  end
  local from, to, code = core.pipe(which)
  opened_or_give_up(opened, from, to, code)
  opened[#opened + 1] = to
  if which == "stdin" then
    return from, to
  end
  return to, from
end

---@async
local function open_cwd(opened, cwd)
  if type(cwd) == "string" then
    return opened_or_give_up(opened, fs.open(cwd, PLACE))
  end
  return cwd and opened_or_give_up(opened, cwd:open(".", PLACE))
end

---Whether one of its streams is a terminal. It shares that with this process then, and its group:
---another one would be stopped as soon as it reads there.
local function has_terminal(streams)
  for i, which in ipairs(options.streams) do
    local file = streams[which]
    local fd = i - 1
    if file then
      fd = core.fd(file)
    end
    if fd and core.is_terminal_fd(fd) then
      return true
    end
  end
  return false
end

---@async
local function start(checked, opened)
  local its, ours = {}, {}
  for _, which in ipairs(options.streams) do
    local given = checked[which]
    if which == "stderr" and given == "stdout" then
      its.stderr = its.stdout or opened_or_give_up(opened, core.adopt(1, "stdout"))
    else
      its[which], ours[which] = open_stream(opened, given, which)
    end
  end
  its.cwd = open_cwd(opened, checked.cwd)
  its.env = checked.env
  its.group = not has_terminal(its)
  if not its.stdout or not its.stderr then
    if stdout then
      stdout:flush()
    end
    core.settle_stdout()
  end
  local argv = checked.argv
  local pid, file, code = core.spawn_process(argv[1], argv, its)
  if not pid then
    wait.refused(file, code)
    give_up(file, code)
  end
  local self = handle.new(file, pid, argv[1], checked.grace)
  for _, which in ipairs(options.streams) do
    self[which] = ours[which]
  end
  return self
end

---The ends of pipes that the process has, and where it failed, ours as well.
---@async
local function close_all(opened, kept)
  for _, file in ipairs(opened) do
    if not (kept and (file == kept.stdin or file == kept.stdout or file == kept.stderr)) then
      file:close()
    end
  end
end

---@async
---@return halo.Process?
---@return string? message
---@return string? code
local function spawn(checked)
  local opened = {}
  local ok, result = wait.guard(start, checked, opened)
  scope.shield(close_all, opened, ok and result) -- all of them, if this one was cancelled
  if ok then
    return result
  elseif type(result) == "table" and result.code then
    return nil, result.message, result.code
  end
  error(result, 0)
end

return spawn
