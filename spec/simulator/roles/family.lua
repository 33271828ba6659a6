-- Tasks that belong together: none outlives the call that started it, however that ends; the first
-- failure is what is raised; what was deferred is called once, last first, when all have ended; and
-- a map has each result in its place.

local attempt = require "spec.simulator.attempt"
local halo = require "halo"
local fs = require "halo.fs"
local simulator = require "simulator"

local PLANNED = "a planned failure"

local Family = {}
Family.__index = Family

local role = { name = "family", tasks_max = 2, ways = attempt.ways }

function role.new(_, path)
  simulator.file(path, "family")
  return setmetatable({ path = path }, Family)
end

local kinds = { "scope", "scope", "map", "all", "race", "timeout", "nested", "iterator",
  "join" }

function role.step(number)
  local members = {}
  for i = 1, number(5) do
    members[i] = {
      name = i,
      calls = number(0, 3),
      pause = number(2) == 1 and number(60) / 1e6,
      fails = number(8) == 1,
    }
  end
  return { kind = kinds[number(#kinds)], members = members, limit = number(3),
    deadline = number(200) / 1e6 }
end

function Family:fail(why, ...)
  simulator.fail(("%s: %s"):format(self.path, why:format(...)))
end

---What one of them does.
function Family:work(count, member)
  count.alive = count.alive + 1
  if count.alive > (count.limit or math.huge) then
    self:fail("%d tasks of a map are alive, and %d may be", count.alive, count.limit)
  end
  local ok, err = pcall(function()
    for _ = 1, member.calls do
      local size = fs.stat(self.path, "size")
      if size and size ~= 6 then
        self:fail("a stat gave the size %d", size)
      end
    end
    if member.pause then
      halo.sleep(member.pause)
    end
    if member.fails then
      error(PLANNED, 0)
    end
  end)
  count.alive = count.alive - 1
  if not ok then
    error(err, 0)
  end
  return member.name
end

local together = {}

function together.scope(self, step, count)
  halo.scope(function(scope)
    for i, member in ipairs(step.members) do
      scope:spawn(self.work, self, count, member)
      scope:defer(function()
        if count.alive > 0 then
          self:fail("what was deferred was called while %d tasks were alive", count.alive)
        end
        halo.sleep(1e-6)
        table.insert(count.deferred, i)
      end)
      count.defers = i
    end
  end)
end

function together.map(self, step, count)
  count.limit = not count.others and step.limit or nil
  local names = halo.map(step.members, function(member)
    return self:work(count, member)
  end, step.limit)
  for i, member in ipairs(step.members) do
    if names[i] ~= member.name then
      self:fail("a map has %s in place %d", tostring(names[i]), i)
    end
  end
end

---What an iterator gives, while several ask for it.
function together.iterator(self, step, count)
  count.limit = step.limit
  local i = 0
  local given = 0
  local results = halo.map(function()
    i = i + 1
    if step.members[i] then
      fs.stat(self.path, "size")
      given = given + 1
    end
    return step.members[i]
  end, function(member)
    return self:work(count, member)
  end, step.limit)
  for place, member in ipairs(step.members) do
    if results[place] ~= member.name then
      self:fail("a map of an iterator has %s in place %d", tostring(results[place]), place)
    end
  end
  if given ~= #step.members then
    self:fail("a map took %d of %d", given, #step.members)
  end
end

---Several wait for one, and each of them gets to know of its end.
function together.join(self, step, count)
  halo.scope(function(scope)
    local one = scope:spawn(self.work, self, count, step.members[1])
    for _ = 1, #step.members do
      scope:spawn(function()
        if one:join() ~= 1 then
          self:fail("a join gave another result")
        end
      end)
    end
  end)
end

local function functions(self, step, count)
  local list = {}
  for i, member in ipairs(step.members) do
    list[i] = function() return self:work(count, member) end
  end
  return list
end

function together.all(self, step, count)
  halo.all(functions(self, step, count))
end

function together.race(self, step, count)
  halo.race(functions(self, step, count))
end

function together.timeout(self, step, count)
  halo.timeout(step.deadline, together.scope, self, step, count)
end

function together.nested(self, step, count)
  count.others = true
  halo.scope(function(scope)
    scope:spawn(together.map, self, step, count)
    halo.timeout(step.deadline, together.all, self, step, count)
  end)
end

function Family:check(count)
  if count.alive ~= 0 then
    self:fail("%d tasks have outlived the call that started them", count.alive)
  end
  for i, number in ipairs(count.deferred) do
    if number ~= count.defers - i + 1 then
      self:fail("what was deferred was called in the wrong order")
    end
  end
  if #count.deferred ~= count.defers then
    self:fail("%d of %d that were deferred have been called", #count.deferred, count.defers)
  end
end

function Family:run(step)
  local count = { alive = 0, deferred = {}, defers = 0 }
  local failure
  local outcome = attempt.make(step, function()
    local ok, err = pcall(together[step.kind], self, step, count)
    self:check(count)
    if not ok and halo.is_cancelled(err) then
      error(err, 0)
    end
    failure = not ok and err
    return true
  end)
  if failure and not tostring(failure):find(PLANNED, 1, true) then
    self:fail("it failed with %s", tostring(failure))
  end
  attempt.settle(outcome)
end

function Family:finish()
  if simulator.content(self.path) ~= "family" then
    self:fail("the file has changed")
  end
end

return role
