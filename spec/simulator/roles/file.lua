-- A file of a task's own, at its handle's position and at offsets: content, size and position are
-- what the answers say. What was refused or cancelled has happened up to where the position says.

local attempt = require "spec.simulator.attempt"
local calls = require "spec.simulator.calls"
local halo = require "halo"
local fs = require "halo.fs"
local shadow = require "spec.simulator.shadow"
local simulator = require "simulator"

local SIZE_MAX = 3000
local flags = fs.flags

local File = {}
File.__index = File

local role = { name = "file", tasks_max = 1 }

function role.new(number, path, config)
  return setmetatable({
    path = path,
    -- What was tried on the loop's thread, and in vain, is made again from its beginning.
    exact = config.engine ~= "auto",
    appends = number(5) == 1,
    synchronous = number(3) == 1,
    shadow = shadow.new(),
    position = 0,
    lent = {}, -- buffers of reads that were cancelled
    next_byte = number(26),
  }, File)
end

local kinds = {
  "write", "write", "write", "pwrite", "pwrite", "read", "read", "pread", "pread", "read_into",
  "seek", "truncate", "fsync", "fdatasync", "size", "close", "readfile", "allocate", "peek",
  "lines",
}

function role.step(number)
  return {
    kind = kinds[number(#kinds)],
    n = number(4) == 1 and number(SIZE_MAX) or number(64),
    offset = number(0, number(2) == 1 and 64 or SIZE_MAX),
  }
end

---Bytes that no other write has: they change from one to the next. Some are lines.
function File:data(n)
  self.next_byte = self.next_byte % 26 + 1
  local letter = string.char(96 + self.next_byte)
  return (letter:upper() .. letter:rep(n)):sub(1, n - 1) .. (n % 3 == 0 and "\n" or letter)
end

function File:fail(why, ...)
  simulator.fail(("%s: %s"):format(self.path, why:format(...)))
end

---A refusal that nothing explains is a failure.
function File:expect(outcome, what)
  if outcome.code and not attempt.by_weather[outcome.code] then
    self:fail("%s was refused: %s", what, outcome.code)
  end
end

-- ---- the position ---------------------------------------------------------------------------

---The write that went out in part, as the position says now.
function File:settle_position(position)
  local pending = self.pending
  if not pending then
    if position ~= self.position then
      self:fail("the position was %d, not %d", position, self.position)
    end
    return
  end
  self.pending = nil
  local out = position - pending.at
  if out < 0 or out > pending.most then
    self:fail("the position was %d after a write of %d bytes at %d", position, pending.most,
      pending.at)
  end
  if pending.overtaken then
    return
  end
  self.shadow:write(pending.at, pending.data:sub(1, out))
  if self.exact then
    for i = out + 1, #pending.cells do
      self.shadow.cells[pending.at + i - 1] = pending.cells[i]
    end
    self.shadow.high = math.max(pending.high, self.shadow.low)
  end
end

---Notes where the position is after a call that moved it by so much.
function File:moved(by)
  local now = fs.tell(self.file)
  self:settle_position(now - by)
  self.position = now
end

---A write at the position has failed, or was cancelled and may still go on.
function File:leave_pending(data)
  if self.pending then
    self.pending.overtaken = true
    self.pending.most = self.pending.most + #data
    self.unknown = true -- where that one ended
    return
  end
  local cells = {}
  for i = 1, #data do
    cells[i] = self.shadow:at(self.position + i - 1)
  end
  local high = self.shadow.high
  self.pending = { at = self.position, data = data, most = #data, cells = cells, high = high }
end

-- ---- steps ----------------------------------------------------------------------------------

function File:open(step)
  local how = flags.RDWR + flags.CREAT + (self.appends and flags.APPEND or 0)
    + (self.synchronous and flags.DSYNC or 0)
  local outcome = attempt.make(step, function() return fs.open(self.path, how) end)
  self:expect(outcome, "open")
  if outcome.done then
    self.file, self.position, self.pending, self.sync_code = outcome[1], 0, nil, nil
  end
  attempt.settle(outcome)
end

---The failure of a synchronous write is what every later sync is told, too.
function File:expect_write(outcome, what)
  self:expect(outcome, what)
  if self.synchronous and outcome.code == "EIO" then
    self.sync_code = self.sync_code or "EIO"
    attempt.settle(outcome)
    self:fsync { kind = "fsync" }
  end
end

function File:append(step, data)
  local at = self.shadow.low
  local known = at == self.shadow.high
  local outcome = attempt.make(step, function() return calls.write(self.file, data) end)
  self:expect_write(outcome, "write")
  if not known then
    self.unknown = true
  elseif outcome.done then
    self.shadow:write(at, data)
  else
    self.shadow:may_write(at, data)
  end
  attempt.settle(outcome)
end

function File:write(step)
  local data = self:data(step.n)
  if self.appends then
    return self:append(step, data)
  end
  local outcome = attempt.make(step, function() return calls.write(self.file, data) end)
  self:expect_write(outcome, "write")
  if outcome.done then
    if outcome[1] ~= #data then
      self:fail("a write of %d bytes returned %s", #data, outcome[1])
    end
    self:moved(#data)
    self.shadow:write(self.position - #data, data)
  else
    self:leave_pending(data)
    self.shadow:may_write(self.position, data)
  end
  attempt.settle(outcome)
end

function File:overtake()
  if self.pending then
    self.pending.overtaken = true
  end
end

function File:pwrite(step)
  if self.appends then
    return self:write(step)
  end
  local data = self:data(step.n)
  local outcome = attempt.make(step, function()
    return calls.pwrite(self.file, data, step.offset)
  end)
  self:expect_write(outcome, "pwrite")
  self:overtake()
  self.shadow[outcome.done and "write" or "may_write"](self.shadow, step.offset, data)
  attempt.settle(outcome)
end

function File:check_data(offset, n, data)
  local why = not self.unknown and self.shadow:contradicts(offset, n, data,
    simulator.faults "read" > 0)
  if why then
    self:fail("%s", why)
  end
end

function File:read(step)
  local outcome = attempt.make(step, function() return calls.read(self.file, step.n) end)
  self:expect(outcome, "read")
  if outcome.done then
    self:moved(#outcome[1])
    self:check_data(self.position - #outcome[1], step.n, outcome[1])
  end
  attempt.settle(outcome)
end

function File:pread(step)
  local outcome = attempt.make(step, function()
    return calls.pread(self.file, step.n, step.offset)
  end)
  self:expect(outcome, "pread")
  if outcome.done then
    self:check_data(step.offset, step.n, outcome[1])
  end
  attempt.settle(outcome)
end

---Nothing is read by it: the position stays.
function File:peek(step)
  local outcome = attempt.make(step, function() return calls.read(self.file, 0) end)
  self:expect(outcome, "read")
  if outcome.done then
    self:moved(0)
  end
  attempt.settle(outcome)
end

---Some lines: the position is behind the latest at any time, however the loop is left.
function File:lines(step)
  if self.pending then
    return
  end
  local got = {}
  local outcome = attempt.make(step, function()
    local ok, err = pcall(function()
      for line in self.file:lines(true) do
        table.insert(got, line)
        if #got > step.n % 4 then
          break
        end
      end
    end)
    if not ok and type(err) ~= "string" then
      error(err, 0)
    end
    return true
  end)
  local text = table.concat(got)
  self:moved(#text)
  self:check_data(self.position - #text, #text, text)
  attempt.settle(outcome)
end

---A buffer that nobody knows any more is its operation's until that has ended: memory that is given
---to others meanwhile keeps what they put there.
function File:check_memory(n)
  collectgarbage()
  local text, others = ("~"):rep(n), {}
  for i = 1, 3 do
    others[i] = halo.buffer(n)
    others[i]:set(text)
  end
  halo.shield(halo.sleep, 0.05)
  for _, other in ipairs(others) do
    if other:string() ~= text then
      self:fail("memory was written to that is another's")
    end
  end
end

---Into a buffer that is lent; once it is back, it is the caller's.
function File:read_into(step)
  local buffer = halo.buffer(step.n)
  local outcome = attempt.make(step, function()
    return calls.pread_into(self.file, buffer, step.n, step.offset)
  end)
  self:expect(outcome, "read_into")
  if outcome.done then
    local data = buffer:string(0, outcome[1])
    self:check_data(step.offset, step.n, data)
    halo.yield()
    if buffer:string(0, outcome[1]) ~= data then
      self:fail("a buffer was written to after its answer")
    end
  elseif outcome.cut and step.n % 2 == 0 then
    table.insert(self.lent, buffer)
  elseif outcome.cut then
    buffer = nil
    self:check_memory(step.n)
  end
  attempt.settle(outcome)
end

function File:seek(step)
  local position = assert(fs.seek(self.file, "set", step.offset))
  self:overtake()
  if self.pending then
    self.unsettled = true
  end
  self.pending = nil
  self.position = position
end

function File:truncate(step)
  local size = step.offset
  local outcome = attempt.make(step, function() return fs.ftruncate(self.file, size) end)
  self:expect(outcome, "truncate")
  self:overtake()
  if outcome.done then
    self.shadow:truncate(size)
    if size == 0 and not self.loose then
      self.unknown = false
    end
  else
    self.shadow:may_truncate(size)
  end
  attempt.settle(outcome)
end

function File:allocate(step)
  local outcome = attempt.make(step, function()
    return fs.fallocate(self.file, step.offset, step.n)
  end)
  self:expect(outcome, "fallocate")
  self:overtake()
  local size = step.offset + step.n
  self.shadow.high = math.max(self.shadow.high, size)
  if outcome.done then
    self.shadow.low = math.max(self.shadow.low, size)
  end
  attempt.settle(outcome)
end

local lossless = { EINTR = true, ECANCELED = true, EBADF = true }

---The first failure is the answer to every later call.
function File:fsync(step)
  local outcome = attempt.make(step, function() return fs[step.kind](self.file) end)
  self:expect(outcome, step.kind)
  if self.sync_code and (outcome.done or outcome.code and outcome.code ~= self.sync_code) then
    self:fail("%s gave %s after one that gave %s", step.kind, outcome.code or "true",
      self.sync_code)
  end
  attempt.settle(outcome)
  if outcome.code and not lossless[outcome.code] and not self.sync_code then
    self.sync_code = outcome.code
    self:fsync(step)
  end
end

File.fdatasync = File.fsync

function File:size(step)
  local outcome = attempt.make(step, function() return fs.fstat(self.file, "size") end)
  self:expect(outcome, "fstat")
  local size = outcome.done and outcome[1]
  if size and not self.unknown and (size < self.shadow.low or size > self.shadow.high) then
    self:fail("the size is %d, not %d to %d", size, self.shadow.low, self.shadow.high)
  end
  attempt.settle(outcome)
end

---What was written before is in the file by then, unless the wait for that was cut short.
function File:close(step)
  local file = self.file
  self.file = nil
  local outcome = attempt.make(step, function() return fs.close(file) end)
  self:expect(outcome, "close")
  if outcome.cut then
    self.unknown, self.loose = true, true
  end
  attempt.settle(outcome)
end

function File:readfile(step)
  local outcome = attempt.make(step, function() return fs.readfile(self.path) end)
  self:expect(outcome, "readfile")
  if outcome.done then
    self:check_data(0, SIZE_MAX * 4, outcome[1])
  end
  attempt.settle(outcome)
end

function File:run(step)
  if not self.file then
    self:open(step)
  end
  if self.file then
    self[step.kind](self, step)
  end
end

---What was lent is back once nothing is under way any more.
function File:check_end()
  for _, buffer in ipairs(self.lent) do
    if not pcall(buffer.set, buffer, "x") then
      self:fail("a buffer is still lent")
    end
  end
end

function File:finish()
  if self.file then
    if not self.unsettled and not self.appends then
      self:moved(0)
    end
    assert(fs.close(self.file))
  end
  local content = simulator.content(self.path)
  if content then
    self:check_data(0, math.max(#content, self.shadow.high), content)
  end
end

return role
