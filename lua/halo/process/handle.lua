-- A program that was started: its end, its signals, and its life as a member of the group that it
-- was started in.

local core = require "halo.core"
local check = require "halo.fs.check"
local scope = require "halo.scope"
local wait = require "halo.wait"

local SIGNALED = 128 -- added to a signal's number, as shells do
local SIGNAL_MAX = 64
local PAUSE_S = 0.01

local signals, signal_names = core.signals, {}
for name, number in pairs(signals) do
  signal_names[number] = name
end

---@class halo.Process
---@field pid integer
---@field stdin halo.File? where it was started with a pipe: to write to
---@field stdout halo.File? to read from
---@field stderr halo.File?
---@field private file halo.File that stands for it
---@field private command string
---@field private grace number
---@field private ended boolean
---@field private status integer?
---@field private signal string?
local Process = {}
Process.__index = Process

local handle = {}

function Process:__tostring()
  if not self.ended then
    return ("process (%s, %d)"):format(self.command, self.pid)
  end
  local how = self.signal and "killed by " .. self.signal or ("status %s"):format(self.status)
  return ("process (%s, %d, %s)"):format(self.command, self.pid, how)
end

local function check_self(self, name)
  scope.check_self(self, Process, name, "Process")
end

-- Its end ---------------------------------------------------------------------------------------

---Keeps how it ended, once it has. Its number is free from there on.
local function reap(self)
  if self.ended then
    return
  end
  local status, number, dumped = core.reap_process(self.file)
  if status == false then
    return -- it goes on
  end
  self.ended = true
  self.status = number and SIGNALED + number or status
  self.signal = number and (signal_names[number] or tostring(number))
  self.dumped = dumped
end

---Waits until it has ended, and does not reap it unless it has to: where it cannot be waited for,
---as memory is out, it is looked at again and again.
---@async
local function await(self)
  while not self.ended and not wait.checked(core.wait_process(self.file)) do
    reap(self)
    if not self.ended then
      wait.settle(core.sleep(PAUSE_S))
    end
  end
end

---Asks it to end, and lets it no choice after the grace; as long as it is not reaped, what else is
---in its group can be told as well.
---@async
local function terminate(self)
  core.signal_process(self.file, signals.TERM)
  core.signal_process(self.file, signals.CONT) -- one that is stopped would not notice
  pcall(scope.timeout, self.grace, await, self)
  if not self.ended then
    core.signal_process(self.file, signals.KILL)
    pcall(await, self)
  end
end

---The life of a process. It begins in a shield: a group that is cancelled must not leave it alone.
---@async
local function live(self)
  core.shield(-1)
  local ok = pcall(await, self)
  if not ok then
    core.shield(1)
    terminate(self)
    core.shield(-1)
  end
  reap(self)
end

---@param file halo.File
---@param pid integer
---@param command string
---@param grace number
---@return halo.Process
function handle.new(file, pid, command, grace)
  local self = { file = file, pid = pid, command = command, grace = grace, ended = false }
  setmetatable(self, Process)
  core.spawn_member(live, self)
  return self
end

---@async
local function watch(self, on_end)
  core.shield(-1)
  if not pcall(await, self) and core.is_member() then
    core.shield(1)
    terminate(self)
    reap(self)
    on_end()
    core.shield(-1)
  end
end

---Ends a process that others wait for when the group is cancelled that it was started in.
---@param on_end fun() called then
function handle.watch(file, command, grace, on_end)
  local self = { file = file, command = command, grace = grace, ended = false }
  core.spawn_watcher(watch, setmetatable(self, Process), on_end)
end

---Waits until it has ended.
---@async
---@return integer? status its exit code, or 128 and the number of the signal that killed it; nil
---where SIGCHLD is ignored, so that nobody knows
---@return string? signal its name, such as "TERM"
function Process:wait(...)
  check_self(self, "wait")
  check.no_more(1, "wait", ...)
  if not self.ended then
    await(self)
    reap(self)
  end
  if self.signal then
    return self.status, self.signal
  end
  return self.status
end

local function signal_number(value)
  if type(value) == "string" then
    return signals[(value:upper():gsub("^SIG", ""))]
  end
  local is_number = type(value) == "number" and value % 1 == 0
  return is_number and value >= 0 and value <= SIGNAL_MAX and value or nil
end

---Sends a signal; to all of its group where it leads one, as one does that shares no terminal.
---@param signal string|integer? its name or number, "TERM" by default; 0 only looks
---@return true?
---@return string? message ESRCH where it has ended
---@return string? code
function Process:kill(signal, ...)
  check_self(self, "kill")
  check.no_more(2, "kill", ...)
  local number = signal_number(signal == nil and "TERM" or signal)
  if not number then
    check.fail(("no signal: %s"):format(tostring(signal)), 2, "kill")
  elseif self.ended then
    return nil, "ESRCH: the process has ended: " .. self.command, "ESRCH"
  end
  return core.signal_process(self.file, number)
end

return handle
