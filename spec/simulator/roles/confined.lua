-- A directory that confines: whatever is asked of it, and however names are swapped for links
-- meanwhile, nothing outside is read, changed, made or taken away.

local attempt = require "spec.simulator.attempt"
local fs = require "halo.fs"
local simulator = require "simulator"

local OUTSIDE = "outside"

local Confined = {}
Confined.__index = Confined

local role = { name = "confined", tasks_max = 3 }

function role.new(_, path)
  local base, outside = path .. "/base", path .. "/outside"
  for _, dir in ipairs { path, base, outside, base .. "/sub", base .. "/sub/deep" } do
    simulator.mkdir(dir)
  end
  simulator.file(outside .. "/file", OUTSIDE)
  simulator.file(base .. "/file", "inside")
  simulator.file(base .. "/sub/file", "inside")
  simulator.symlink("../outside", base .. "/up")
  simulator.symlink(outside, base .. "/absolute")
  simulator.symlink("../../outside", base .. "/sub/up")
  simulator.symlink("../outside/file", base .. "/link")
  return setmetatable({ path = path, base = base, outside = outside }, Confined)
end

local ways = {
  ".", "sub", "up", "absolute", "sub/up", "sub/deep/..", "../outside", "sub/../up", "swapped",
}
local names = { "file", "new", "link" }
local kinds = {
  "readfile", "writefile", "atomic", "open", "stat", "remove", "mkdir", "rmdir", "rename", "link",
  "symlink", "readdir", "walk", "rmtree", "copy", "copytree", "chmod", "truncate", "swap", "swap",
}

function role.step(number)
  return {
    kind = kinds[number(#kinds)],
    a = ways[number(#ways)] .. "/" .. names[number(#names)],
    b = ways[number(#ways)] .. "/" .. names[number(#names)],
    dir = ways[number(#ways)],
  }
end

local calls = {}

function calls.readfile(dir, step) return dir:readfile(step.a) end
function calls.writefile(dir, step) return dir:writefile(step.a, "written") end
function calls.atomic(dir, step) return dir:writefile(step.a, "written", { atomic = true }) end
function calls.stat(dir, step) return dir:stat(step.a, "size") end
function calls.remove(dir, step) return dir:remove(step.a) end
function calls.mkdir(dir, step) return dir:mkdir(step.a) end
function calls.rmdir(dir, step) return dir:rmdir(step.a) end
function calls.rename(dir, step) return dir:rename(step.a, step.b) end
function calls.link(dir, step) return dir:link(step.a, step.b) end
function calls.symlink(dir, step) return dir:symlink(step.a, step.b) end
function calls.rmtree(dir, step) return dir:rmtree(step.dir) end
function calls.copy(dir, step) return dir:copy(step.a, step.b) end
function calls.copytree(dir, step) return dir:copytree(step.dir, step.b) end
function calls.chmod(dir, step) return dir:chmod(step.a, 384) end
function calls.truncate(dir, step) return dir:truncate(step.a, 1) end

function calls.open(dir, step)
  local file, message, code = dir:open(step.a, "r")
  if not file then
    return nil, message, code
  end
  local text
  text, message, code = file:read "a"
  file:close()
  return text, message, code
end

function calls.readdir(dir, step)
  local entries, message, code = dir:readdir(step.dir)
  for _, entry in ipairs(entries or {}) do
    if entry.name == "only-outside" then
      return OUTSIDE
    end
  end
  return entries and true, message, code
end

function calls.walk(dir, step)
  local ok, err = pcall(function()
    for path in dir:walk(step.dir) do
      assert(not path:find "only%-outside", path)
    end
  end)
  if not ok and tostring(err):find "only%-outside" then
    return OUTSIDE
  elseif not ok and type(err) ~= "string" then
    error(err, 0)
  end
  return true
end

---Somebody else puts a link in the place of a directory, and the directory back.
function Confined:swap(step)
  local from, to = self.base .. "/sub", self.base .. "/swapped"
  return attempt.make(step, function()
    if simulator.type(to) then
      return fs.rename(from, to, { exchange = true })
    end
    return fs.symlink("../outside", to)
  end)
end

function Confined:check()
  local content = simulator.content(self.outside .. "/file")
  local there = simulator.names(self.outside)
  if content ~= OUTSIDE or #there ~= 1 or simulator.mode(self.outside .. "/file") ~= 420 then
    simulator.fail(self.path .. ": what is outside of the base has changed")
  end
end

function Confined:run(step)
  if not self.dir then
    local outcome = attempt.make(step, function() return fs.at(self.base, { beneath = true }) end)
    if outcome.done and self.dir then
      outcome[1]:close()
    elseif outcome.done then
      self.dir = outcome[1]
    end
    attempt.settle(outcome)
  end
  if not self.dir then
    return
  end
  local outcome = step.kind == "swap" and self:swap(step)
    or attempt.make(step, function() return calls[step.kind](self.dir, step) end)
  if outcome.done and outcome[1] == OUTSIDE then
    simulator.fail(("%s: %s of %s has reached what is outside"):format(self.path, step.kind,
      step.a))
  end
  self:check()
  attempt.settle(outcome)
end

function Confined:finish()
  if self.dir then
    self.dir:close()
  end
  self:check()
end

return role
