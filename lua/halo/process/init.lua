-- Other programs: started without a shell, waited for without a worker, and ended with the scope
-- that has started them.

local bit = require "bit"
local core = require "halo.core"
local check = require "halo.fs.check"
local fs = require "halo.fs"
local handle = require "halo.process.handle"
local options = require "halo.process.options"
local scope = require "halo.scope"
local wait = require "halo.wait"

local PLACE = bit.bor(fs.flags.PATH, fs.flags.DIRECTORY)

---@class halo.process
local process = {}

-- Starting --------------------------------------------------------------------------------------

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
    return opened_or_give_up(opened, fs.open("/dev/null", which == "stdin" and "r" or "w"))
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
    io.stdout:flush()
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
  close_all(opened, ok and result)
  if ok then
    return result
  elseif type(result) == "table" and result.code then
    return nil, result.message, result.code
  end
  error(result, 0)
end

local SPAWN_STREAMS = { stdin = "pipe", stdout = "pipe", stderr = "inherit" }

---Starts a program. It belongs to the scope of the caller: a scope waits for it, and one that is
---cancelled ends it, by TERM and after the grace by KILL. Unless it shares a terminal it leads a
---group of processes, which is ended with it.
---@async
---@param given halo.ProcessOptions stdin and stdout are pipes by default, stderr is inherited
---@return halo.Process?
---@return string? message
---@return string? code
function process.spawn(given, ...)
  check.no_more(2, "spawn", ...)
  return spawn(options.check(given, options.known, SPAWN_STREAMS, "spawn"))
end

-- Running to the end ----------------------------------------------------------------------------

---A process need not read all that it is given.
---@async
local function feed(file, input)
  local ok, message, code = file:write(input)
  if not ok and code ~= "EPIPE" then
    core.raise(message)
  end
  file:close()
end

---@async
local function drain(file)
  local data, message = file:read "a"
  if not data then
    core.raise(message)
  end
  file:close()
  return data
end

---@async
local function talk(tasks, checked)
  local self, message, code = spawn(checked)
  if not self then
    return nil, message, code
  end
  if self.stdin then
    tasks:spawn(feed, self.stdin, checked.input)
  end
  local errors = self.stderr and tasks:spawn(drain, self.stderr)
  local output = self.stdout and drain(self.stdout) or ""
  if not errors then
    return output, (self:wait())
  end
  local error_text = errors:join()
  return output, self:wait(), error_text
end

---Where no task can be waited for, files take the place of pipes, which somebody has to empty.
---@async
local function talk_alone(checked)
  local files = {}
  for _, which in ipairs(options.streams) do
    if checked[which] == "pipe" then
      files[which] = assert(fs.tempfile())
      checked[which] = files[which]
    end
  end
  if files.stdin then
    assert(files.stdin:write(checked.input))
    assert(files.stdin:seek("set", 0))
  end
  local self, message, code = spawn(checked)
  local status = self and self:wait()
  local texts = {}
  for which, file in pairs(files) do
    file:seek("set", 0)
    texts[which] = self and which ~= "stdin" and assert(file:read "a")
    file:close()
  end
  if not self then
    return nil, message, code
  elseif not texts.stderr then
    return texts.stdout or "", status
  end
  return texts.stdout or "", status, texts.stderr
end

local function run(checked)
  if core.can_wait() then
    return scope.scope(talk, checked)
  end
  return talk_alone(checked)
end

local RUN_STREAMS = { stdin = "null", stdout = "pipe", stderr = "inherit" }
local FED_STREAMS = { stdin = "pipe", stdout = "pipe", stderr = "inherit" }

local run_known = { input = true, timeout = true }
for name in pairs(options.known) do
  run_known[name] = true
end

---@class halo.RunOptions: halo.ProcessOptions
---@field input string? what it reads from its standard input
---@field timeout number? seconds, after which it is ended

local function check_input(given)
  local input = given.input
  if input ~= nil and type(input) ~= "string" then
    check.fail(("input: string expected, got %s"):format(type(input)), 1, "run")
  elseif input and given.stdin ~= nil and given.stdin ~= "pipe" then
    check.fail("input goes to a pipe: leave stdin out", 1, "run")
  elseif not input and given.stdin == "pipe" then
    check.fail("stdin: nobody would write to that pipe; use input, or spawn", 1, "run")
  end
  return input
end

---Runs a program to its end.
---
---    local output, status = halo.process.run { "git", "status", cwd = path }
---
---@async
---@param given halo.RunOptions stdin is empty by default, stdout goes to output, stderr is inherited
---@return string? output what it wrote to stdout, "" where that is no pipe; or nil, where it could
---not be started, or the time was up (ETIMEDOUT)
---@return integer|string status its exit code, or 128 and the number of the signal that has killed
---it; or the message
---@return string? errors what it wrote to stderr, where that is a pipe; or the code
function process.run(given, ...)
  check.no_more(2, "run", ...)
  local streams = type(given) == "table" and given.input and FED_STREAMS or RUN_STREAMS
  local checked = options.check(given, run_known, streams, "run")
  checked.input = check_input(given)
  if given.timeout == nil then
    return run(checked)
  end
  return scope.timeout(options.seconds(given.timeout, "timeout", "run"), run, checked)
end

return process
