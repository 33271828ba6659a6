-- One handle that several tasks use at once, each a part of the file that is its own. Any of them
-- may close it under the others, and open it anew: those are refused, and no call ever reaches
-- another file that has got the descriptor's number.

local attempt = require "spec.simulator.attempt"
local calls = require "spec.simulator.calls"
local halo = require "halo"
local fs = require "halo.fs"
local shadow = require "spec.simulator.shadow"
local simulator = require "simulator"

local PART = 100 -- bytes of a task's own
local SLOTS = 64 -- after so many files the core uses the place of the first again

local Crowd = {}
Crowd.__index = Crowd

local role = { name = "crowd", tasks_max = 4 }

function role.new(_, path)
  simulator.file(path, "")
  return setmetatable({ path = path, parts = {}, count = 0, bytes = 0,
    synced = setmetatable({}, { __mode = "k" }) }, Crowd)
end

local kinds = {
  "write", "write", "write", "read", "read", "read", "stat", "sync", "close", "forget", "stale",
}

function role.step(number)
  local from = number(0, PART - 1)
  return { kind = kinds[number(#kinds)], from = from, n = number(PART - from) }
end

---Refusals of a handle that another task has closed meanwhile.
local closed = { EBADF = true, ECANCELED = true }

function Crowd:expect(outcome, what)
  if outcome.code and not attempt.by_weather[outcome.code] and not closed[outcome.code] then
    simulator.fail(("%s: %s was refused: %s"):format(self.path, what, outcome.code))
  end
end

function Crowd:part()
  local task = halo.current()
  if not self.parts[task] then
    self.parts[task] = { start = self.count * PART, shadow = shadow.new() }
    self.count = self.count + 1
  end
  return self.parts[task]
end

function Crowd:open(step)
  local outcome = attempt.make(step, function() return fs.open(self.path, "r+") end)
  self:expect(outcome, "open")
  if outcome.done and self.file then
    fs.close(outcome[1]) -- another task was faster
  elseif outcome.done then
    self.file = outcome[1]
  end
  attempt.settle(outcome)
end

---What may still be written through a handle that is closed or forgotten comes in any order.
function Crowd:write(step, part)
  self.bytes = self.bytes % 200 + 1
  local data = string.char(self.bytes):rep(step.n)
  local file = self.file
  local outcome = attempt.make(step, function()
    return calls.pwrite(file, data, part.start + step.from)
  end)
  self:expect(outcome, "write")
  if outcome.done and file == part.stray then
    part.stray = nil
  elseif not outcome.done then
    part.stray = part.stray and part.stray ~= file and "any" or file
  end
  local sure = outcome.done and not part.stray
  part.shadow[sure and "write" or "may_write"](part.shadow, step.from, data)
  return outcome
end

function Crowd:check(part, from, data)
  for i = 1, #data do
    local cell, byte = part.shadow:at(from + i - 1), data:sub(i, i)
    if not cell:find(byte, 1, true) then
      simulator.fail(("%s: at %d there is %q, not one of %q"):format(self.path,
        part.start + from + i - 1, byte, cell))
    end
  end
end

function Crowd:read(step, part)
  local file = self.file
  local outcome = attempt.make(step, function()
    return calls.pread(file, step.n, part.start + step.from)
  end)
  self:expect(outcome, "read")
  if outcome.done then
    self:check(part, step.from, outcome[1])
  end
  return outcome
end

---The handle is of this file and no other.
function Crowd:stat(step)
  local file = self.file
  local _, number = simulator.type(self.path)
  local outcome = attempt.make(step, function() return fs.fstat(file, "ino") end)
  self:expect(outcome, "fstat")
  if outcome.done and outcome[1] ~= number then
    simulator.fail(self.path .. ": the descriptor is another file's")
  end
  return outcome
end

local says_nothing = { EINTR = true, ECANCELED = true, EBADF = true }

---The first failure of a handle's syncs is what all are told. One that has succeeded may be told
---of later, where its task had to wait until one on the spot was over: so what counts is what had
---failed before it began.
function Crowd:note_sync(file, before, ok, message, code)
  local first = self.synced[file]
  if before and ok or first and code and not says_nothing[code] and code ~= first then
    simulator.fail(("%s: a sync gave %s after one that gave %s"):format(self.path, code or "true",
      first))
  elseif code and not says_nothing[code] then
    self.synced[file] = code
  end
  return ok, message, code
end

function Crowd:sync(step)
  local file = self.file
  local function sync()
    return self:note_sync(file, self.synced[file], fs.fsync(file))
  end
  local outcome = attempt.make(step, function()
    if step.way == "sort" then
      return sync()
    end
    halo.all { sync, sync, sync }
    return true
  end)
  self:expect(outcome, "fsync")
  return outcome
end

---A handle that has been closed never reaches another file, however many are opened.
function Crowd:stale(step)
  local stale = self.closed
  local outcome = attempt.make(step, function()
    for _ = 1, stale and SLOTS or 0 do
      local file = fs.open(self.path)
      if file then
        file:close()
      end
    end
    self.file = self.file or fs.open(self.path, "r+")
    return true
  end)
  if stale and fs.tell(stale) then
    simulator.fail(self.path .. ": a handle that was closed is open again")
  end
  return outcome
end

function Crowd:close(step)
  local file = self.file
  self.file = nil
  local called
  local outcome = attempt.make(step, function()
    called = true
    return fs.close(file)
  end)
  if called and fs.tell(file) then
    simulator.fail(self.path .. ": a close has left the file open")
  end
  self:expect(outcome, "close")
  self.closed = outcome.done and file or self.closed
  return outcome
end

---Left to the collector.
function Crowd:forget()
  self.file = nil
  collectgarbage()
  return {}
end

function Crowd:run(step)
  local part = self:part()
  if not self.file then
    self:open(step)
  end
  if self.file then
    attempt.settle(self[step.kind](self, step, part))
  end
end

function Crowd:finish()
  if self.file then
    assert(fs.close(self.file))
  end
  local content = simulator.content(self.path)
  for _, part in pairs(self.parts) do
    self:check(part, 0, content:sub(part.start + 1, part.start + PART))
  end
end

return role
