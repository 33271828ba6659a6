-- Whole files and trees: calls of many operations, which leave nothing behind however they end.

local attempt = require "spec.simulator.attempt"
local fs = require "halo.fs"
local simulator = require "simulator"

---Some of the calls that a copy is made of are not made again where they were interrupted.
local may_be_interrupted = { owned = true, copy = true, copytree = true, move = true }

local function expect(self, outcome, what)
  if outcome.code == "EINTR" and may_be_interrupted[what] then
    return
  end
  if outcome.code and not attempt.by_weather[outcome.code] then
    simulator.fail(("%s: %s was refused: %s"):format(self.path, what, outcome.code))
  end
end

-- ---- atomic writes --------------------------------------------------------------------------

local Atomic = {}
Atomic.__index = Atomic

local atomic = { name = "atomic", tasks_max = 3 }

---Several tasks write the same name, and read it: it has one of their texts, whole.
function atomic.new(_, path)
  simulator.mkdir(path)
  simulator.order(path)
  return setmetatable({ path = path, file = path .. "/file", texts = {}, count = 0 }, Atomic)
end

function atomic.step(number)
  local kinds = { "write", "write", "read", "lines", "temporary", "exclusive", "private" }
  return { kind = kinds[number(#kinds)], n = number(3) == 1 and number(70000) or number(200) }
end

function Atomic:text(n)
  self.count = self.count + 1
  local text = ("%d:%s\n"):format(self.count, ("x"):rep(n))
  self.texts[text] = true
  return text
end

function Atomic:check(text)
  if not self.texts[text] then
    simulator.fail(("%s: a text of %d bytes that nobody wrote: %s"):format(self.path, #text,
      text:sub(1, 40)))
  end
end

function Atomic:write(step)
  local text = self:text(step.n)
  local outcome = attempt.make(step, function()
    return fs.writefile(self.file, text, { atomic = true })
  end)
  self.exists = self.exists or outcome.done
  return outcome
end

function Atomic:read(step)
  local existed = self.exists
  local outcome = attempt.make(step, function() return fs.readfile(self.file) end)
  if outcome.code == "ENOENT" and not existed then
    outcome.code = nil
  elseif outcome.done then
    self:check(outcome[1])
  end
  return outcome
end

function Atomic:lines(step)
  return attempt.make(step, function()
    local ok, err = pcall(function()
      for line in fs.lines(self.file) do
        self:check(line .. "\n")
      end
    end)
    if not ok and type(err) ~= "string" then
      error(err, 0) -- the cancellation
    end
    return true
  end)
end

---A file that goes with its handle, or with the call that was cancelled.
function Atomic:temporary(step)
  return attempt.make(step, function()
    local file, message, code = fs.tempfile(self.path)
    if not file then
      return nil, message, code
    end
    fs.write(file, "temporary")
    return fs.close(file)
  end)
end

---A name that is made exclusively is removed again where the call was cancelled.
function Atomic:exclusive(step)
  local name = self.path .. "/exclusive" .. self.count
  self.count = self.count + 1
  local outcome = attempt.make(step, function()
    local file, message, code = fs.open(name, "wx")
    if file then
      self.made = self.made or {}
      self.made[name] = file
      return true
    end
    return nil, message, code
  end)
  return outcome
end

---A directory likewise.
function Atomic:private(step)
  return attempt.make(step, function()
    local name, message, code = fs.mkdtemp(self.path .. "/private-XXXXXX")
    if name then
      self.private_dirs = self.private_dirs or {}
      self.private_dirs[name] = true
    end
    return name, message, code
  end)
end

function Atomic:run(step)
  local outcome = self[step.kind](self, step)
  expect(self, outcome, step.kind)
  attempt.settle(outcome)
end

function Atomic:finish()
  for _, file in pairs(self.made or {}) do
    assert(fs.close(file))
  end
  local text = simulator.content(self.file)
  if text then
    self:check(text)
  elseif self.exists then
    simulator.fail(self.path .. ": the file is gone")
  end
  -- What a failed removal has left can be nobody's promise.
  if simulator.faults "name" + simulator.faults "look" > 0 then
    return
  end
  for _, name in ipairs(simulator.names(self.path)) do
    local path = self.path .. "/" .. name
    local known = self.made and self.made[path] or self.private_dirs and self.private_dirs[path]
    if name ~= "file" and not known then
      simulator.fail(path .. " was left behind")
    end
  end
end

-- ---- trees ----------------------------------------------------------------------------------

local Tree = {}
Tree.__index = Tree

local tree = { name = "tree", tasks_max = 1 }

local USER = 1000
local LEAVES = { "one", "two/three", "two/four", "two/five/six", "seven", "eight/nine" }

function tree.new(_, path)
  simulator.mkdir(path)
  simulator.mkdir(path .. "/from")
  for _, name in ipairs { "two", "two/five", "eight" } do
    simulator.mkdir(path .. "/from/" .. name)
  end
  for _, name in ipairs(LEAVES) do
    simulator.file(path .. "/from/" .. name, name:rep(#name * 5))
  end
  simulator.mkdir(path .. "/guarded")
  simulator.guard(path .. "/guarded", USER)
  simulator.mkdir(path .. "/owned")
  simulator.file(path .. "/owned/file", "owned")
  simulator.mkdir(path .. "/owned/dir")
  for _, name in ipairs { "owned", "owned/file", "owned/dir" } do
    simulator.own(path .. "/" .. name, USER)
  end
  return setmetatable({ path = path, from = path .. "/from", to = path .. "/to" }, Tree)
end

function tree.step(number)
  local kinds = { "copytree", "copytree", "rmtree", "walk", "copy", "move", "glob", "dir", "at",
    "owned" }
  return { kind = kinds[number(#kinds)], leaf = LEAVES[number(#LEAVES)] }
end

local function count(path, found)
  for _, name in ipairs(simulator.names(path) or {}) do
    found[#found + 1] = path .. "/" .. name
    count(path .. "/" .. name, found)
  end
  return found
end

---A whole copy has the names and bytes of what was copied.
function Tree:check_copy()
  local from, to = count(self.from, {}), count(self.to, {})
  if #from ~= #to then
    simulator.fail(("%s: %d names were copied of %d"):format(self.path, #to, #from))
  end
  for _, path in ipairs(from) do
    local copy = self.to .. path:sub(#self.from + 1)
    if simulator.content(path) ~= simulator.content(copy) then
      simulator.fail(copy .. " is not what was copied")
    end
  end
end

function Tree:copytree(step)
  if simulator.type(self.to) or self.restless then
    return
  end
  local outcome = attempt.make(step, function() return fs.copytree(self.from, self.to) end)
  if outcome.done then
    self:check_copy()
  end
  self.restless = self.restless or outcome.cut
  return outcome
end

function Tree:rmtree(step)
  if not simulator.type(self.to) or self.restless then
    return
  end
  local outcome = attempt.make(step, function() return fs.rmtree(self.to) end)
  if outcome.done and simulator.type(self.to) then
    simulator.fail(self.to .. " was removed, and is still there")
  end
  self.restless = self.restless or outcome.cut
  return outcome
end

---What is there, each name once.
function Tree:walk(step)
  return attempt.make(step, function()
    local seen, total = {}, 0
    local ok, err = pcall(function()
      for path in fs.walk(self.from) do
        if seen[path] then
          simulator.fail(path .. " was walked twice")
        end
        seen[path] = true
        total = total + 1
      end
    end)
    if not ok and type(err) ~= "string" then
      error(err, 0)
    elseif ok and total ~= #count(self.from, {}) and not self.moved and not self.restless
      and simulator.faults "look" == 0 then -- one of an unknown type is not entered
      simulator.fail(("%s: %d names were walked of %d"):format(self.path, total,
        #count(self.from, {})))
    end
    return true
  end)
end

---An open directory gives each of its entries once, whoever asks for them.
function Tree:dir(step)
  return attempt.make(step, function()
    local seen, total = {}, 0
    local ok, err = pcall(function()
      for name in fs.dir(self.from) do
        if seen[name] then
          simulator.fail(("%s/%s was listed twice"):format(self.from, name))
        end
        seen[name] = true
        total = total + 1
      end
    end)
    if not ok and type(err) ~= "string" then
      error(err, 0)
    elseif ok and total ~= #simulator.names(self.from) and not self.moved and not self.restless then
      simulator.fail(("%s: %d names were listed"):format(self.from, total))
    end
    return true
  end)
end

---By an open directory, as by paths.
function Tree:at(step)
  if self.moved or self.restless then
    return
  end
  return attempt.make(step, function()
    local dir, message, code = fs.at(self.from)
    if not dir then
      return nil, message, code
    end
    local text
    text, message, code = dir:readfile(step.leaf)
    dir:close()
    if text and text ~= simulator.content(self.from .. "/" .. step.leaf) then
      simulator.fail(("%s/%s was read wrongly"):format(self.from, step.leaf))
    end
    return text, message, code
  end)
end

---Copied with its owner: for nobody else before it is that one's.
function Tree:owned(step)
  local from, to = self.path .. "/owned", self.path .. "/guarded/copy"
  if simulator.type(to) or self.owned_later then
    return
  end
  local outcome = attempt.make(step, function()
    if step.leaf == "one" then
      return fs.copy(from .. "/file", to, { owner = true, mode = true })
    end
    return fs.copytree(from, to, { owner = true })
  end)
  if outcome.done and (simulator.owner(to) ~= USER or simulator.mode(to) % 8 == 0) then
    simulator.fail(to .. " is not its owner's, or still private")
  end
  self.owned_later = outcome.cut -- what has begun may still come
  return outcome
end

function Tree:glob(step)
  return attempt.make(step, function()
    local found, message, code = fs.glob(self.from .. "/two/*")
    if type(found) == "table" and #found ~= 3 and not self.moved and simulator.faults "look" == 0
      and simulator.faults "read" == 0 and simulator.faults "open" == 0 then
      simulator.fail(("%s: %d names matched of 3"):format(self.path, #found))
    end
    return found, message, code
  end)
end

function Tree:copy(step)
  local from, to = self.from .. "/" .. step.leaf, self.path .. "/copy"
  if self.moved then
    return
  end
  local before = simulator.type(to)
  local faults = simulator.faults "name" + simulator.faults "look"
  local outcome = attempt.make(step, function() return fs.copy(from, to) end)
  if outcome.code and not before and not self.restless and simulator.type(to)
    and faults == simulator.faults "name" + simulator.faults "look" then
    simulator.fail(to .. " is left of a copy that failed")
  end
  if outcome.done and not self.restless and simulator.content(from) ~= simulator.content(to) then
    simulator.fail(to .. " is not what was copied")
  end
  self.restless = self.restless or outcome.cut
  return outcome
end

---There and back; what was cancelled in between is in one of the places, or in both.
function Tree:move(step)
  local from, to = self.from .. "/" .. step.leaf, self.path .. "/moved"
  if self.restless or self.moved then
    return
  end
  local text = simulator.content(from)
  local outcome = attempt.make(step, function() return fs.move(from, to) end)
  if outcome.done then
    if simulator.content(to) ~= text or simulator.content(from) then
      simulator.fail(to .. " is not what was moved")
    end
    outcome = attempt.make({}, function() return fs.move(to, from) end)
  end
  self.moved = not outcome.done
  self.restless = self.restless or outcome.cut
  return outcome
end

function Tree:run(step)
  local outcome = self[step.kind](self, step)
  if outcome then
    expect(self, outcome, step.kind)
    attempt.settle(outcome)
  end
end

---Nothing of what was copied is touched.
function Tree:finish()
  for _, name in ipairs(LEAVES) do
    if not self.moved and simulator.content(self.from .. "/" .. name) ~= name:rep(#name * 5) then
      simulator.fail(self.from .. "/" .. name .. " has changed")
    end
  end
end

return { atomic, tree }
