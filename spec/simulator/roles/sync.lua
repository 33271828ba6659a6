-- What tasks have with one another: channels, semaphores, locks of files.

local attempt = require "spec.simulator.attempt"
local calls = require "spec.simulator.calls"
local halo = require "halo"
local fs = require "halo.fs"
local simulator = require "simulator"

-- ---- channels -------------------------------------------------------------------------------

local Channel = {}
Channel.__index = Channel

local channel = { name = "channel", tasks_max = 4, ways = attempt.ways }

local PATIENCE_S = 1000 -- of what has to end

function channel.new(number, path)
  local other = halo.channel(number(0, 1))
  return setmetatable({
    path = path,
    channel = halo.channel(number(4) == 1 and number(0, 60) or number(0, 3)),
    other = other,
    count = 0,
    ticks = 0,
    sent = {},
    begun = { {}, {} }, -- the values of each channel, in the order of the sends
    received = {},
  }, Channel)
end

function channel.step(number)
  local kinds = { "send", "send", "recv", "recv", "select", "select", "other_send", "burst",
    "closing" }
  return { kind = kinds[number(#kinds)], seconds_more = number(100) / 1e5, n = number(12),
    sends = number(2) == 1 }
end

---Nobody has to be there at the other end: a wait without a bound would be a deadlock.
local function bounded(step, call)
  return attempt.make(step, function()
    return halo.timeout(step.seconds_more, call)
  end)
end

function Channel:tick()
  self.ticks = self.ticks + 1
  return self.ticks
end

---@param began integer when the call did that has received it
function Channel:take(value, began)
  if type(value) == "number" then
    if self.received[value] then
      simulator.fail(("%s: value %d was received twice"):format(self.path, value))
    end
    self.received[value] = { began = began, ended = self:tick() }
  end
end

function Channel:other_send(step)
  self:send(step, self.other)
end

function Channel:send(step, to)
  to = to or self.channel
  self.count = self.count + 1
  local value = self.count
  local outcome = bounded(step, function()
    table.insert(self.begun[to == self.channel and 1 or 2], value)
    return to:send(value)
  end)
  self.sent[value] = outcome.done and outcome[1] == true or "perhaps"
  attempt.settle(outcome)
end

---More than a small buffer takes.
function Channel:burst(step)
  for _ = 1, step.n do
    self:send(step)
  end
end

function Channel:recv(step)
  local outcome = bounded(step, function()
    local began = self:tick()
    local value = self.channel:recv()
    self:take(value, began)
    return value
  end)
  attempt.settle(outcome)
end

function Channel:select(step)
  local outcome = attempt.make(step, function()
    local began = self:tick()
    local index, value = halo.select { self.channel, self.other, timeout = step.seconds_more }
    if index then
      self:take(value, began)
    end
    return true
  end)
  attempt.settle(outcome)
end

---All who wait for a channel of their own get to know that it is closed.
function Channel:closing(step)
  local one = halo.channel()
  local outcome = attempt.make(step, function()
    local told = 0
    local _, _, code = halo.timeout(PATIENCE_S, halo.scope, function(scope)
      for i = 1, step.n do
        scope:spawn(function()
          local ok, value = pcall(step.sends and one.send or one.recv, one, step.sends and i or nil)
          if ok ~= step.sends and (value == nil or type(value) == "string") then
            told = told + 1
          end
        end)
      end
      halo.sleep(1e-6)
      one:close()
    end)
    if code or told ~= step.n then
      simulator.fail(("%s: %d of %d were told of a close"):format(self.path, told, step.n))
    end
    return true
  end)
  attempt.settle(outcome)
end

function Channel:run(step)
  self[step.kind](self, step)
end

---What was sent first is received first, by a call that ends before those begin that receive later.
function Channel:check_order(values)
  local latest -- the earliest end of one that came behind
  for i = #values, 1, -1 do
    local received = self.received[values[i]]
    if received and latest and latest.ended < received.began then
      simulator.fail(("%s: value %d has overtaken %d"):format(self.path, latest.value, values[i]))
    elseif received and (not latest or received.ended < latest.ended) then
      received.value = values[i]
      latest = received
    end
  end
end

function Channel:finish()
  for _, one in ipairs { self.channel, self.other } do
    one:close()
    local began = self:tick()
    for value in one do
      self:take(value, began)
      began = self:tick()
    end
  end
  for value, done in ipairs(self.sent) do
    if done == true and not self.received[value] then
      simulator.fail(("%s: value %d was sent and never received"):format(self.path, value))
    end
  end
  self:check_order(self.begun[1])
  self:check_order(self.begun[2])
end

-- ---- semaphores -----------------------------------------------------------------------------

local Semaphore = {}
Semaphore.__index = Semaphore

local semaphore = { name = "semaphore", tasks_max = 5, ways = attempt.ways }

function semaphore.new(number, path)
  local permits = number(3)
  return setmetatable({
    path = path,
    permits = permits,
    held = 0,
    semaphore = halo.semaphore(permits),
  }, Semaphore)
end

function semaphore.step(number)
  return { kind = "with", pause = number(50) / 1e6 }
end

function Semaphore:with(step)
  return attempt.make(step, function()
    return self.semaphore:with(function()
      self.held = self.held + 1
      if self.held > self.permits then
        simulator.fail(("%s: %d tasks hold %d permits"):format(self.path, self.held, self.permits))
      end
      local ok, err = pcall(halo.sleep, step.pause)
      self.held = self.held - 1
      if not ok then
        error(err, 0)
      end
      return true
    end)
  end)
end

---A task that was cancelled while it waited may wait once more, under a shield.
function Semaphore:run(step)
  local outcome = self:with(step)
  if outcome.err then
    self:with { way = "shield", pause = step.pause }
    self:with { way = "shield", pause = step.pause }
  end
  attempt.settle(outcome)
end

function Semaphore:finish()
  for _ = 1, self.permits do
    if not self.semaphore:try_acquire() then
      simulator.fail(self.path .. ": a permit was lost")
    end
  end
  if self.semaphore:try_acquire() then
    simulator.fail(self.path .. ": there is a permit too many")
  end
end

-- ---- locks ----------------------------------------------------------------------------------

local Lock = {}
Lock.__index = Lock

local lock = { name = "lock", tasks_max = 4, ways = attempt.ways }

function lock.new(_, path)
  return setmetatable({ path = path, shared = 0, exclusive = 0, files = {} }, Lock)
end

function lock.step(number)
  return {
    kind = number(2) == 1 and "shared" or "exclusive",
    pause = number(50) / 1e6,
    tries = number(3) == 1,
    shields = number(2) == 1,
    patience = number(300) / 1e5,
  }
end

function Lock:check()
  if self.exclusive > 1 or (self.exclusive > 0 and self.shared > 0) then
    simulator.fail(("%s: %d exclusive and %d shared locks at once"):format(self.path,
      self.exclusive, self.shared))
  end
end

---In the section that the lock guards.
function Lock:hold(step, file)
  self[step.kind] = self[step.kind] + 1
  self:check()
  local ok, err = pcall(halo.sleep, step.pause)
  self[step.kind] = self[step.kind] - 1
  local unlocked, message, code
  if step.shields then
    unlocked, message, code = halo.shield(fs.unlock, file)
  else -- which does its work also where it then raises a cancellation
    local returned
    returned, unlocked, message, code = pcall(fs.unlock, file)
    if not returned then
      error(unlocked, 0)
    end
  end
  if not unlocked and not attempt.by_weather[code] then
    simulator.fail(self.path .. ": " .. message)
  end
  if not ok then
    error(err, 0)
  end
end

function Lock:run(step)
  local task = halo.current()
  local file = self.files[task]
  if not file then
    local outcome = attempt.make({}, function() return fs.open(self.path, "a+") end)
    file = outcome.done and outcome[1]
    self.files[task] = file
    attempt.settle(outcome)
  end
  if not file then
    return
  end
  local outcome = attempt.make(step, function()
    return calls.lock(file, step.kind, step.tries and 0 or step.patience)
  end)
  if outcome.done and outcome[1] == true then
    if outcome.err then
      halo.shield(fs.unlock, file)
    else
      self:hold(step, file)
    end
  end
  attempt.settle(outcome)
end

---A lock that was taken and not held by anybody has been given back by now.
function Lock:finish()
  local shared, exclusive = simulator.locks(self.path)
  if simulator.faults "lock" == 0 and (shared > 0 or exclusive) then
    simulator.fail(self.path .. ": a lock is left, which nobody holds")
  end
  for _, file in pairs(self.files) do
    fs.unlock(file)
  end
  shared, exclusive = simulator.locks(self.path)
  if shared > 0 or exclusive then
    simulator.fail(self.path .. ": a lock is left")
  end
  for _, file in pairs(self.files) do
    assert(fs.close(file))
  end
end

return { channel, semaphore, lock }
