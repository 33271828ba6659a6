-- Running programs to their end: one, or several of which each reads what the one before writes.

local core = require "halo.core"
local check = require "halo.fs.check"
local fs = require "halo.fs"
local options = require "halo.process.options"
local scope = require "halo.scope"
local spawn = require "halo.process.start"
local wait = require "halo.wait"

local run = {}

---A process need not read all that it is given.
---@async
---@return true?
---@return string? message
---@return string? code
local function feed(file, input)
  local ok, message, code = file:write(input)
  if not ok and code ~= "EPIPE" then
    return nil, message, code
  end
  file:close()
  return true
end

---@async
local function drain(file)
  local data, message, code = file:read "a"
  if not data then
    return nil, message, code
  end
  file:close()
  return data
end

---@async
local function close_all(files)
  for _, file in ipairs(files) do
    file:close()
  end
end

---@async
local function start_each(stages, running, pipes)
  local from_last
  for i, stage in ipairs(stages) do
    local from, to, message, code
    stage.stdin = from_last or stage.stdin
    if stages[i + 1] then
      from, to, code = core.pipe "pipe"
      if not from then
        return nil, to, code
      end
      pipes[#pipes + 1], from_last, stage.stdout = from, from, to
      pipes[#pipes + 1] = to
    end
    running[i], message, code = spawn(stage)
    if not running[i] then
      return nil, message, code
    end
  end
  return true
end

---@async
local function close_then_settle(files, ok, ...)
  scope.shield(close_all, files)
  return wait.settle(ok, ...)
end

---Starts all, with pipes between them. Those that run when one of them fails to start are ended
---with the scope.
---@async
---@param running halo.Process[] gets them
---@return true?
---@return string? message
---@return string? code
local function start_all(stages, running)
  local pipes = {}
  return close_then_settle(pipes, wait.guard(start_each, stages, running, pipes))
end

---What a pipeline ends with is that of the last that has failed, as bash's pipefail has it.
---@async
local function wait_for_all(running)
  local result = 0
  for _, process in ipairs(running) do
    local status = process:wait()
    result = status ~= 0 and status or result
  end
  return result
end

---Our ends of the pipes of what runs.
local function pipes_of(running)
  local files = {}
  for _, process in ipairs(running) do
    for _, which in ipairs(options.streams) do
      files[#files + 1] = process[which]
    end
  end
  return files
end

---@async
---@return string? output
---@return integer|string? status or the message
---@return string? errors or the code
local function talk(tasks, stages, input)
  local running = {}
  tasks:defer(function()
    close_all(pipes_of(running)) -- whoever was to do so may have been cancelled
  end)
  local ok, message, code = start_all(stages, running)
  if not ok then
    tasks:cancel()
    return nil, message, code
  end
  local first, last, errors = running[1], running[#running], {}
  local feeding = first.stdin and tasks:spawn(feed, first.stdin, input)
  for _, process in ipairs(running) do
    errors[#errors + 1] = process.stderr and tasks:spawn(drain, process.stderr)
  end
  local output
  if last.stdout then
    output, message, code = drain(last.stdout)
  end
  for i, task in ipairs(errors) do
    if not message then
      errors[i], message, code = task:join()
    end
  end
  if feeding and not message then
    message, code = select(2, feeding:join())
  end
  if message then
    tasks:cancel()
    return nil, message, code
  end
  return output or "", wait_for_all(running), errors[1] and table.concat(errors)
end

local function temporary(data)
  local file = assert(fs.tempfile())
  if data then
    assert(file:write(data))
    assert(file:seek("set", 0))
  end
  return file
end

local function take_text(file)
  assert(file:seek("set", 0))
  local text = assert(file:read "a")
  file:close()
  return text
end

---Gives a stage a file in place of a pipe.
local function replace_pipe(stage, which, data)
  if stage[which] ~= "pipe" then
    return nil
  end
  stage[which] = temporary(data)
  return stage[which]
end

---Where no task can be waited for, files take the place of the pipes that somebody has to empty.
---@async
local function talk_alone(stages, input)
  local given, errors = replace_pipe(stages[1], "stdin", input), {}
  for _, stage in ipairs(stages) do
    errors[#errors + 1] = replace_pipe(stage, "stderr")
  end
  local written = replace_pipe(stages[#stages], "stdout")
  local running = {}
  local ok, message, code = start_all(stages, running)
  for _, process in ipairs(ok and {} or running) do
    process:kill "KILL" -- no scope does
  end
  local status = wait_for_all(running)
  local output = written and take_text(written) or ""
  for i, file in ipairs(errors) do
    errors[i] = take_text(file)
  end
  if given then
    given:close()
  end
  if not ok then
    return nil, message, code
  end
  return output, status, errors[1] and table.concat(errors)
end

---@async
local function run_all(stages, input)
  local output, status, errors
  if core.can_wait() then
    output, status, errors = scope.scope(talk, stages, input)
  else
    output, status, errors = talk_alone(stages, input)
  end
  if errors then
    return output, status, errors
  end
  return output, status
end

local run_known = { input = true, timeout = true }
for name in pairs(options.known) do
  run_known[name] = true
end

---@class halo.RunOptions: halo.ProcessOptions
---@field input string? what it reads from its standard input
---@field timeout number? seconds, after which it is ended

local function check_input(given, name)
  local input = given.input
  if input ~= nil and type(input) ~= "string" then
    check.fail(("input: string expected, got %s"):format(type(input)), 1, name)
  elseif input and given.stdin ~= nil and given.stdin ~= "pipe" then
    check.fail("input goes to a pipe: leave stdin out", 1, name)
  elseif not input and given.stdin == "pipe" then
    check.fail("stdin: nobody would write to that pipe: use input, or spawn", 1, name)
  end
  return input
end

---@param given any
---@return table<string, string>
local function streams_of(given)
  local has_input = type(given) == "table" and given.input ~= nil
  return { stdin = has_input and "pipe" or "null", stdout = "pipe", stderr = "inherit" }
end

local function run_for(seconds, stages, input, name)
  if seconds == nil then
    return run_all(stages, input)
  end
  return scope.timeout(options.seconds(seconds, "timeout", name), run_all, stages, input)
end

---Runs a program to its end.
---
---    local output, status = halo.process.run { "git", "status", cwd = path }
---
---@async
---@param given halo.RunOptions stdin is empty by default, stdout is output, stderr is inherited
---@return string? output what it wrote to stdout, "" where that is no pipe; or nil, where it could
---not be started or its time was up (ETIMEDOUT)
---@return integer|string status its exit code, or 128 and the number of the signal that has killed
---it; or the message
---@return string? errors what it wrote to stderr, where that is a pipe; or the code
function run.run(given, ...)
  check.no_more(2, "run", ...)
  local checked = options.check(given, run_known, streams_of(given), "run")
  return run_for(given.timeout, { checked }, check_input(given, "run"), "run")
end

---What says where the ends of a pipeline lead, or is for all of it.
local function check_place(words, i, count)
  local problem
  if words.input ~= nil or words.timeout ~= nil then
    problem = "input and timeout are options of the whole pipeline"
  elseif i > 1 and words.stdin ~= nil then
    problem = "it reads what the one before it writes: leave stdin out"
  elseif i < count and words.stdout ~= nil then
    problem = "the next one reads what it writes: leave stdout out"
  end
  if problem then
    check.fail(("command %d: %s"):format(i, problem), 1, "pipeline")
  end
end

local function check_stages(given)
  local common, stages = {}, {}
  for key, value in pairs(given) do
    if type(key) == "string" then
      common[key] = value
    end
  end
  local streams = streams_of(given)
  for i, words in ipairs(given) do
    if type(words) ~= "table" then
      check.fail(("command %d: table expected, got %s"):format(i, type(words)), 1, "pipeline")
    end
    check_place(words, i, #given)
    local stage = {}
    for key, value in pairs(common) do
      stage[key] = value
    end
    for key, value in pairs(words) do
      stage[key] = value
    end
    stages[i] = options.check(stage, run_known, streams, "pipeline")
  end
  if not stages[1] then
    check.fail('commands expected, such as { { "sort" }, { "uniq", "-c" } }', 1, "pipeline")
  end
  return stages
end

---Runs several programs at once, each of which reads what the one before it writes.
---
---    halo.process.pipeline { { "sort" }, { "uniq", "-c" }, input = text }
---
---@async
---@param given halo.RunOptions commands, as tables that may have options of their own
---@return string? output of the last
---@return integer|string status 0, or that of the last that has failed; or the message
---@return string? errors what each wrote to stderr, one after the other, where that is a pipe; or
---the code
function run.pipeline(given, ...)
  check.no_more(2, "pipeline", ...)
  if type(given) ~= "table" then
    check.type_error("table", given, 1, "pipeline")
  end
  local stages = check_stages(given)
  return run_for(given.timeout, stages, check_input(given, "pipeline"), "pipeline")
end

return run
