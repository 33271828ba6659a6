-- A stream that never gives anything: whoever waits for it can only be cancelled, and then nothing
-- is left under way, not even a poll.

local attempt = require "spec.simulator.attempt"
local calls = require "spec.simulator.calls"
local halo = require "halo"
local fs = require "halo.fs"
local simulator = require "simulator"

local LOOKS = 1000
local LOOK_SECONDS = 0.1

local Silent = {}
Silent.__index = Silent

local role = { name = "silent", tasks_max = 3, ways = { "plain", "scope", "race", "generator" } }

function role.new(_, path)
  simulator.silent(path)
  return setmetatable({ path = path }, Silent)
end

function role.step(number)
  return { kind = number(2) == 1 and "read" or "into", patience = number(200) / 1e5 }
end

function Silent:run(step)
  if not self.file then
    local outcome = attempt.make(step, function() return fs.open(self.path) end)
    if outcome.done and self.file then
      fs.close(outcome[1])
    elseif outcome.done then
      self.file = outcome[1]
    end
    attempt.settle(outcome)
  end
  local file = self.file
  if not file then
    return
  end
  local outcome = attempt.make(step, function()
    return halo.timeout(step.patience, function()
      if step.kind == "into" then
        return fs.read_into(file, halo.buffer(10), 10)
      end
      return calls.read(file, 10)
    end)
  end)
  if outcome.done then
    simulator.fail(self.path .. " has given something")
  elseif outcome.code and outcome.code ~= "ETIMEDOUT" and not attempt.by_weather[outcome.code] then
    simulator.fail(("%s: a read was refused: %s"):format(self.path, outcome.code))
  end
  attempt.settle(outcome)
end

---The others' streams may still be read; what is left of these must have been cancelled.
function Silent:finish()
  for _ = 1, LOOKS do
    if halo.stats().in_flight == 0 then
      break
    end
    halo.sleep(LOOK_SECONDS)
  end
  if halo.stats().in_flight > 0 then
    simulator.fail(self.path .. ": a cancelled read does not end")
  end
  if self.file then
    assert(fs.close(self.file))
  end
end

return role
