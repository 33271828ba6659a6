-- A handle whose writes are gathered, and that several tasks share: each write arrives whole, once,
-- and behind those that began before, however the handle is given up.

local attempt = require "spec.simulator.attempt"
local fs = require "halo.fs"
local simulator = require "simulator"

local WRITES_MAX = 250 -- each has a byte of its own

local Gather = {}
Gather.__index = Gather

local role = { name = "gather", tasks_max = 3 }

function role.new(_, path)
  simulator.file(path, "")
  return setmetatable({ path = path, writes = {}, begun = 0, handle = 0 }, Gather)
end

function role.step(number)
  local kinds = { "write", "write", "write", "write", "flush", "close", "forget", "array" }
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
  local outcome = attempt.make(step, function()
    return fs.open(self.path, "a", { buffer = step.buffer })
  end)
  self:expect(outcome, "open")
  if outcome.done and self.file then
    fs.close(outcome[1])
  elseif outcome.done then
    self.file, self.handle = outcome[1], self.handle + 1
  end
  attempt.settle(outcome)
end

---@param make fun(text: string): ... what is written, out of a text
function Gather:write(step, make)
  local writes, file = self.writes, self.file
  if #writes == WRITES_MAX then
    return
  end
  local write = { n = step.n, handle = self.handle }
  table.insert(writes, write)
  local text = string.char(#writes):rep(step.n)
  local outcome = self:expect(attempt.make(step, function()
    self.begun = self.begun + 1
    write.begun = self.begun
    if make then
      return fs.write(file, make(text))
    end
    return fs.write(file, text)
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

function Gather:flush(step)
  local file = self.file
  attempt.settle(self:expect(attempt.make(step, function() return fs.flush(file) end), "flush"))
end

---What one handle has been given is in the file before the next one can be open.
function Gather:close(step)
  local file = self.file
  self.file = nil
  attempt.settle(self:expect(attempt.make(step, function() return fs.close(file) end), "close"))
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

---Of one handle, none has overtaken another.
function Gather:check_order(latest, write)
  if write.begun < (latest[write.handle] or 0) then
    simulator.fail(self.path .. ": a write has overtaken one that began before")
  end
  latest[write.handle] = write.begun
end

function Gather:check(content)
  local at, latest, seen = 1, {}, {}
  while at <= #content do
    local byte = content:byte(at)
    local write = self.writes[byte]
    local stop = content:find("[^" .. content:sub(at, at):gsub("%W", "%%%0") .. "]", at)
      or #content + 1
    if seen[byte] or stop - at ~= write.n then
      simulator.fail(("%s: of a write of %d bytes %d arrived"):format(self.path, write.n,
        stop - at))
    end
    self:check_order(latest, write)
    seen[byte], at = true, stop
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

---Once nothing is under way any more.
function Gather:check_end()
  if simulator.faults "write" == 0 then
    self:check(simulator.content(self.path))
  end
end

return role
