-- What is given piece by piece: lines of a stream that a task is cancelled over, what generators
-- yield while they wait. Each piece comes once, in order, and none is lost.

local attempt = require "spec.simulator.attempt"
local fs = require "halo.fs"
local simulator = require "simulator"

local Lines = {}
Lines.__index = Lines

local role = { name = "lines", tasks_max = 1 }

function role.new(number, path)
  local total = number(0, 4000)
  simulator.source(path, total)
  simulator.mkdir(path .. "-dir")
  for i = 1, 5 do
    simulator.file(("%s-dir/%d"):format(path, i), "")
  end
  return setmetatable({ path = path, total = total, got = {} }, Lines)
end

function role.step(number)
  local kinds = { "lines", "lines", "lines", "numbers", "entries" }
  return { kind = kinds[number(#kinds)], n = number(5) }
end

---Some lines, with their ends, so that together they are all that was given.
function Lines:lines(step)
  if not self.file then
    local outcome = attempt.make(step, function() return fs.open(self.path) end)
    self.file = outcome.done and outcome[1] or nil
    attempt.settle(outcome)
  end
  if not self.file then
    return {}
  end
  return attempt.make(step, function()
    local left = step.n
    local ok, err = pcall(function()
      for line in self.file:lines(true) do
        table.insert(self.got, line)
        left = left - 1
        if left == 0 then
          break
        end
      end
    end)
    if not ok and type(err) ~= "string" then
      error(err, 0)
    end
    return true
  end)
end

---A generator that waits between what it yields, within another one.
local function numbers(path, count)
  return coroutine.wrap(function()
    local inner = coroutine.wrap(function()
      for i = 1, count do
        fs.stat(path)
        coroutine.yield(i, i * i)
      end
    end)
    for i, square in inner do
      fs.lstat(path)
      coroutine.yield(i, square)
    end
  end)
end

function Lines:numbers(step)
  return attempt.make(step, function()
    local expected = 0
    for i, square in numbers(self.path, step.n) do
      expected = expected + 1
      if i ~= expected or square ~= i * i then
        simulator.fail(("%s: a generator gave %s and %s in place %d"):format(self.path,
          tostring(i), tostring(square), expected))
      end
    end
    if expected ~= step.n then
      simulator.fail(("%s: a generator gave %d of %d"):format(self.path, expected, step.n))
    end
    return true
  end)
end

---The entries of a directory in a generator of the program's own.
function Lines:entries(step)
  return attempt.make(step, function()
    local count = 0
    local ok, err = pcall(function()
      for _ in coroutine.wrap(function()
        for name in fs.dir(self.path .. "-dir") do
          coroutine.yield(name)
        end
      end) do
        count = count + 1
      end
    end)
    if not ok and type(err) ~= "string" then
      error(err, 0)
    elseif ok and count ~= 5 then
      simulator.fail(("%s: %d entries were listed of 5"):format(self.path, count))
    end
    return true
  end)
end

function Lines:run(step)
  local outcome = self[step.kind](self, step)
  if outcome.code and not attempt.by_weather[outcome.code] then
    simulator.fail(("%s: %s was refused: %s"):format(self.path, step.kind, outcome.code))
  end
  attempt.settle(outcome)
end

function Lines:finish()
  self.file = self.file or assert(fs.open(self.path))
  for line in self.file:lines(true) do
    table.insert(self.got, line)
  end
  assert(fs.close(self.file))
  local got, given = table.concat(self.got), simulator.source_bytes(self.path, self.total)
  if got ~= given then
    simulator.fail(("%s gave %d bytes, and %d were read by lines"):format(self.path, #given, #got))
  end
  for i, line in ipairs(self.got) do
    if line:find "\n." or i < #self.got and not line:find "\n$" then
      simulator.fail(("%s: piece %d is no line"):format(self.path, i))
    end
  end
end

return role
