-- Handles whose writes are gathered, and that several tasks share: each write arrives whole, once,
-- and behind those that began before, however the handle is given up. Each has a file of its own.

local attempt = require "spec.simulator.attempt"
local fs = require "halo.fs"
local simulator = require "simulator"

local WRITES_MAX = 250 -- each has a byte of its own

local Gather = {}
Gather.__index = Gather

local role = { name = "gather", tasks_max = 3 }

function role.new(_, path)
  return setmetatable({ path = path, writes = {}, begun = 0, opened = 0, failed = {} }, Gather)
end

function role.step(number)
  local kinds = { "write", "write", "write", "write", "flush", "sync", "close", "forget",
    "array", "size" }
  return { kind = kinds[number(#kinds)], n = number(3) == 1 and number(300) or number(30),
    buffer = number(200) }
end

function Gather:expect(outcome, what)
  local code = outcome.code
  -- Another task may have closed it meanwhile.
  if code and not attempt.by_weather[code] and code ~= "EBADF" and code ~= "ECANCELED" then
    simulator.fail(("%s: %s was refused: %s"):format(self.path, what, code))
  end
  return outcome
end

function Gather:open(step)
  self.opened = self.opened + 1
  local path = ("%s-%d"):format(self.path, self.opened)
  simulator.file(path, "")
  local outcome = attempt.make(step, function()
    return fs.open(path, "a", { buffer = step.buffer })
  end)
  self:expect(outcome, "open")
  if outcome.done and self.file then
    fs.close(outcome[1])
  elseif outcome.done then
    self.file, self.target, self.buffer = outcome[1], path, step.buffer
  end
  attempt.settle(outcome)
end

local says_nothing = { EBADF = true, ECANCELED = true, EINTR = true }

---A failure to write what has been gathered stays with the handle: nothing that begins later
---succeeds.
function Gather:stick(write, before, count, message, code)
  local target = write.target
  if count and before then
    simulator.fail(("%s: a write after one that failed (%s)"):format(target, before))
  elseif write.fits and code and not says_nothing[code] then
    self.failed[target] = self.failed[target] or code
  end
  return count, message, code
end

---@param make fun(text: string): ... what is written, out of a text
function Gather:write(step, make)
  local writes, file = self.writes, self.file
  if #writes == WRITES_MAX then
    return
  end
  local write = { n = step.n, target = self.target, fits = step.n < self.buffer }
  table.insert(writes, write)
  local text = string.char(#writes):rep(step.n)
  local outcome = self:expect(attempt.make(step, function()
    self.begun = self.begun + 1
    write.begun = self.begun
    if make then
      return self:stick(write, self.failed[write.target], fs.write(file, make(text)))
    end
    return self:stick(write, self.failed[write.target], fs.write(file, text))
  end), "write")
  write.done = outcome.done
  attempt.settle(outcome)
end

function Gather:array(step)
  self:write(step, function(text)
    local half = math.floor(#text / 2)
    return { text:sub(1, half) }, text:sub(half + 1)
  end)
end

---What has been written is there for whoever looks, gathered or not.
function Gather:size(step)
  local file, target, least = self.file, self.target, 0
  for _, write in ipairs(self.writes) do
    least = least + (write.done and write.target == target and write.n or 0)
  end
  local outcome = attempt.make(step, function() return fs.fstat(file, "size") end)
  self:expect(outcome, "fstat")
  if outcome.done and outcome[1] < least and simulator.faults "write" == 0 then
    simulator.fail(("%s: the size is %d, and %d bytes were written"):format(target, outcome[1],
      least))
  end
  attempt.settle(outcome)
end

---Of a flush, a sync or a close that succeeds: all that was written before is there, whatever has
---failed elsewhere. What could not be written it would have told.
function Gather:assure(step, what, call)
  local target, before = self.target, {}
  local outcome = self:expect(attempt.make(step, function()
    for _, write in ipairs(self.writes) do
      if write.done and write.target == target then
        table.insert(before, write)
      end
    end
    return call()
  end), what)
  for _, write in ipairs(outcome.done and before or {}) do
    write.assured = true
  end
  attempt.settle(outcome)
end

function Gather:flush(step)
  local file, all = self.file, { target = self.target, fits = true }
  self:assure(step, "flush", function()
    return self:stick(all, self.failed[all.target], fs.flush(file))
  end)
end

function Gather:sync(step)
  local file = self.file
  self:assure(step, "fsync", function() return fs.fsync(file) end)
end

function Gather:close(step)
  local file = self.file
  self.file = nil
  self:assure(step, "close", function() return fs.close(file) end)
end

---Left to the collector.
function Gather:forget()
  self.file = nil
  collectgarbage()
end

function Gather:run(step)
  if not self.file then
    self:open(step)
  end
  if self.file then
    self[step.kind](self, step)
  end
end

---What does not fit into the buffer is written by itself, and may be cut short by a cancel.
local function may_be(write, size)
  return size == write.n or not write.done and not write.fits and size < write.n
end

function Gather:check(path, seen)
  local content, at, latest = simulator.content(path), 1, 0
  while at <= #content do
    local byte = content:byte(at)
    local write = self.writes[byte]
    local stop = at
    while content:byte(stop) == byte do
      stop = stop + 1
    end
    if seen[byte] or write.target ~= path or not may_be(write, stop - at) then
      simulator.fail(("%s: of a write of %d bytes %d arrived"):format(path, write.n, stop - at))
    elseif write.begun < latest then
      simulator.fail(path .. ": a write has overtaken one that began before")
    end
    latest, seen[byte], at = write.begun, true, stop
  end
end

function Gather:check_all()
  local seen = {}
  for i = 1, self.opened do
    self:check(("%s-%d"):format(self.path, i), seen)
  end
  for byte, write in ipairs(self.writes) do
    if write.done and not seen[byte] then
      simulator.fail(("%s: a write of %d bytes did not arrive"):format(self.path, write.n))
    end
  end
end

---What could not be written is told, and nothing more can be said of the file.
function Gather:finish()
  if self.file then
    local closed = fs.close(self.file)
    assert(closed or simulator.faults "write" > 0)
    self.file = nil
  end
end

---A write that was said to be there, in a file of which nothing else is known.
function Gather:check_assured()
  for byte, write in ipairs(self.writes) do
    local text = string.char(byte):rep(write.n)
    if write.assured and not simulator.content(write.target):find(text, 1, true) then
      simulator.fail(("%s: a write of %d bytes is lost, and nobody was told"):format(write.target,
        write.n))
    end
  end
end

---Once nothing is under way any more.
function Gather:check_end()
  if simulator.faults "write" == 0 then
    self:check_all()
  end
  self:check_assured()
end

return role
