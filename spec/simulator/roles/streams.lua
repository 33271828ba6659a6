-- Streams, each with a handle that several tasks share. Every byte of a source reaches exactly one
-- reader, in order, also over cancellations; what is written to a sink arrives in whole pieces, one
-- behind the other.

local attempt = require "spec.simulator.attempt"
local calls = require "spec.simulator.calls"
local halo = require "halo"
local fs = require "halo.fs"
local simulator = require "simulator"

local SPOT_CALLS = 3

local function expect(path, outcome, what)
  -- Whether it is a FIFO that lacks a reader is found out by a look, which may fail.
  if outcome.code == "ENXIO" and simulator.faults "look" > 0 then
    return
  end
  if outcome.code and not attempt.by_weather[outcome.code] then
    simulator.fail(("%s: %s was refused: %s"):format(path, what, outcome.code))
  end
end

---Opens it once for all tasks.
local function open(self, step, mode)
  if self.file then
    return true
  end
  local outcome = attempt.make(step, function() return fs.open(self.path, mode) end)
  expect(self.path, outcome, "open")
  if outcome.done then
    if self.file then
      fs.close(outcome[1]) -- another task was faster
    else
      self.file = outcome[1]
    end
  end
  attempt.settle(outcome)
  return self.file
end

-- ---- sources --------------------------------------------------------------------------------

local Source = {}
Source.__index = Source

local source = { name = "source", tasks_max = 4 }

function source.new(number, path)
  local total = number(0, number(3) == 1 and 20000 or 500)
  simulator.source(path, total)
  return setmetatable({ path = path, total = total, got = {} }, Source)
end

function source.step(number)
  local kinds = { "read", "read", "read_into", "herd" }
  local kind = kinds[number(#kinds)]
  return {
    kind = kind,
    ways = kind == "herd" and attempt.ways,
    spot = kind == "herd" and number(2) == 1,
    members = number(3),
    n = number(3) == 1 and number(5000) or number(40),
  }
end

function Source:read(step)
  local got = self.got
  return attempt.make(step, function()
    local data, message, code = calls.read(self.file, step.n)
    if data then
      table.insert(got, data)
    end
    return data, message, code
  end)
end

function Source:read_into(step)
  local got, buffer = self.got, halo.buffer(step.n)
  return attempt.make(step, function()
    local count, message, code = fs.read_into(self.file, buffer, step.n)
    if count then
      table.insert(got, buffer:string(0, count))
    end
    return count, message, code
  end)
end

---Several that read, and are cancelled together.
function Source:herd(step)
  self.shared = true
  return attempt.make(step, function()
    halo.scope(function(scope)
      for _ = 1, step.members do
        scope:spawn(self.read, self, { n = step.n })
      end
      if step.spot then
        halo.yield()
        for _ = 1, SPOT_CALLS do -- what they read meanwhile has ended, and they do not know it
          attempt.on_the_spot(function() fs.stat(self.path) end)
        end
      else
        halo.sleep(step.seconds)
      end
      scope:cancel()
    end)
    return true
  end)
end

function Source:run(step)
  local task = halo.current()
  self.shared = self.shared or (self.task and self.task ~= task)
  self.task = task
  if open(self, step, "r") then
    local outcome = self[step.kind](self, step)
    expect(self.path, outcome, "read")
    attempt.settle(outcome)
  end
end

---Whether the pieces, each taken once, make up all that was given. Where tasks share a stream one
---that waited on the spot may tell of its piece before another that got an earlier one has run.
local function arrange(pieces, given, in_order)
  if in_order then
    return table.concat(pieces) == given
  end
  local taken = {}
  local function rest(at, first)
    if at > #given then
      return true
    end
    local any = false
    for i = first, #pieces do
      local piece = pieces[i]
      if not taken[i] and piece ~= "" then
        any = true
        if given:sub(at, at + #piece - 1) == piece then
          taken[i] = true
          local next_first = i == first and first + 1 or first
          if rest(at + #piece, next_first) then
            return true
          end
          taken[i] = nil
        end
      end
    end
    return not any and at > #given
  end
  return #table.concat(pieces) == #given and rest(1, 1)
end

---Where each piece is, for a message.
local function describe(pieces, given)
  local places = {}
  for i, piece in ipairs(pieces) do
    places[i] = ("%d+%d"):format((given:find(piece, 1, true) or 0) - 1, #piece)
  end
  return table.concat(places, " ")
end

function Source:finish()
  self.file = self.file or assert(fs.open(self.path))
  repeat
    local data = assert(calls.read(self.file, 4096))
    table.insert(self.got, data)
  until data == ""
  assert(fs.close(self.file))
  local given = simulator.source_bytes(self.path, self.total)
  if not arrange(self.got, given, not self.shared) then
    simulator.fail(("%s gave %d bytes, and %d that differ were read: %s"):format(self.path, #given,
      #table.concat(self.got), describe(self.got, given)))
  end
end

-- ---- sinks ----------------------------------------------------------------------------------

local Sink = {}
Sink.__index = Sink

local sink = { name = "sink", tasks_max = 4 }

function sink.new(_, path)
  simulator.sink(path)
  return setmetatable({ path = path, writes = {}, begun = 0 }, Sink)
end

function sink.step(number)
  return { kind = "write", n = number(4) == 1 and number(9000) or number(100) }
end

---Each write has a byte of its own.
function Sink:run(step)
  local writes = self.writes
  if #writes == 255 or not open(self, step, "w") then
    return
  end
  local write = { n = step.n }
  table.insert(writes, write)
  local data = string.char(#writes):rep(step.n)
  local outcome = attempt.make(step, function()
    self.begun = self.begun + 1
    write.begun = self.begun
    return calls.write(self.file, data)
  end)
  expect(self.path, outcome, "write")
  write.done = outcome.done
  attempt.settle(outcome)
end

function Sink:finish()
  if self.file then
    assert(fs.close(self.file))
  end
  local content, at, seen = simulator.content(self.path), 1, {}
  local latest = 0
  while at <= #content do
    local byte = content:byte(at)
    local stop = at
    while content:byte(stop) == byte do
      stop = stop + 1
    end
    if seen[byte] or stop - at > self.writes[byte].n then
      simulator.fail(("%s: a write of %d bytes came in pieces or twice"):format(self.path,
        self.writes[byte].n))
    end
    if self.writes[byte].begun < latest then
      simulator.fail(self.path .. ": a write has overtaken one that began before")
    end
    latest = self.writes[byte].begun
    seen[byte] = stop - at
    at = stop
  end
  for byte, write in ipairs(self.writes) do
    if write.done and (seen[byte] or 0) ~= write.n then
      simulator.fail(("%s: %d bytes were written and %d arrived"):format(self.path, write.n,
        seen[byte] or 0))
    end
  end
end

return { source, sink }
