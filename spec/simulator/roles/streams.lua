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
  return setmetatable({ path = path, total = total, got = {}, ticks = 0 }, Source)
end

function source.step(number)
  local kinds = { "read", "read", "read_into", "herd", "peek", number(4) == 1 and "all" or "read" }
  local kind = kinds[number(#kinds)]
  return {
    kind = kind,
    ways = kind == "herd" and attempt.ways,
    spot = kind == "herd" and number(2) == 1,
    members = number(3),
    all = number(4) == 1,
    n = number(3) == 1 and number(5000) or number(40),
  }
end

function Source:tick()
  self.ticks = self.ticks + 1
  return self.ticks
end

---Notes what a call has read, and when that was.
function Source:note(call)
  local began = self:tick()
  local data, message, code = call()
  if data and data ~= "" then
    table.insert(self.got, { data = data, began = began, ended = self:tick() })
  end
  return data, message, code
end

function Source:read(step)
  return attempt.make(step, function()
    return self:note(function() return calls.read(self.file, step.n) end)
  end)
end

function Source:read_into(step)
  local buffer = halo.buffer(step.n)
  return attempt.make(step, function()
    return self:note(function()
      local count, message, code = fs.read_into(self.file, buffer, step.n)
      return count and buffer:string(0, count), message, code
    end)
  end)
end

---Whether there is something, which stays where it is.
function Source:peek(step)
  return attempt.make(step, function() return calls.read(self.file, 0) end)
end

---What is left, or nothing of it.
function Source:all(step)
  return attempt.make(step, function()
    return self:note(function() return fs.read(self.file, "a") end)
  end)
end

---Several that read, and are cancelled together.
function Source:herd(step)
  return attempt.make(step, function()
    halo.scope(function(scope)
      for _ = 1, step.members do
        scope:spawn(self[step.all and "all" or "read"], self, { n = step.n })
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
  if open(self, step, "r") then
    local outcome = self[step.kind](self, step)
    expect(self.path, outcome, "read")
    attempt.settle(outcome)
  end
end

---Whether a piece may come next: none that is left had ended when its read began.
local function may_follow(pieces, taken, i)
  for j, other in ipairs(pieces) do
    if not taken[j] and other.ended < pieces[i].began then
      return false
    end
  end
  return true
end

---Whether the pieces, each taken once, make up all that was given, in the order of the reads.
local function arrange(pieces, given)
  local taken, left = {}, #pieces
  local function rest(at)
    if left == 0 then
      return at > #given
    end
    for i, piece in ipairs(pieces) do
      local stop = at + #piece.data
      local fits = not taken[i] and given:sub(at, stop - 1) == piece.data
      if fits and may_follow(pieces, taken, i) then
        taken[i], left = true, left - 1
        if rest(stop) then
          return true
        end
        taken[i], left = nil, left + 1
      end
    end
    return false
  end
  return rest(1)
end

---Where each piece is, for a message.
local function describe(pieces, given)
  local places = {}
  for i, piece in ipairs(pieces) do
    local place = (given:find(piece.data, 1, true) or 0) - 1
    places[i] = ("%d+%d"):format(place, #piece.data)
  end
  return table.concat(places, " ")
end

function Source:finish()
  self.file = self.file or assert(fs.open(self.path))
  local data
  repeat
    data = assert(self:note(function() return calls.read(self.file, 4096) end))
  until data == ""
  assert(fs.close(self.file))
  local given = simulator.source_bytes(self.path, self.total)
  if not arrange(self.got, given) then
    simulator.fail(("%s gave %d bytes; %d pieces were read, which are not those in order: %s")
      :format(self.path, #given, #self.got, describe(self.got, given)))
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
