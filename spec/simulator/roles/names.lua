-- Names in a directory of a task's own: each answer is the one that a plain table of names
-- predicts. After a call that was refused by the weather, or cancelled, the model is asked what
-- became of it: it has happened as a whole or not at all.

local attempt = require "spec.simulator.attempt"
local fs = require "halo.fs"
local simulator = require "simulator"

local Names = {}
Names.__index = Names

local role = { name = "names", tasks_max = 1 }

local LETTERS = { "a", "b", "c" }

---@param path string a directory that is there
function role.new(_, path)
  simulator.mkdir(path)
  return setmetatable({ path = path, entries = {}, nodes = {} }, Names)
end

local kinds = {
  "mkdir", "rmdir", "remove", "rename", "rename", "noreplace", "exchange", "link", "symlink",
  "readlink", "create", "create", "create_new", "lstat", "readdir", "exists",
}

function role.step(number)
  return {
    kind = kinds[number(#kinds)],
    a = LETTERS[number(#LETTERS)],
    b = LETTERS[number(#LETTERS)],
  }
end

---What there is by the model: the node of each name, which two names may have in common.
function Names:look()
  local entries = {}
  for _, name in ipairs(simulator.names(self.path)) do
    local kind, number = simulator.type(self.path .. "/" .. name)
    local node = self.nodes[number]
    if not node or node.kind ~= kind then
      node = { kind = kind }
      self.nodes[number] = node
    end
    entries[name] = node
  end
  return entries
end

local function same(one, other)
  for name, node in pairs(one) do
    if not other[name] or other[name].kind ~= node.kind then
      return false
    end
  end
  for name in pairs(other) do
    if one[name] == nil then
      return false
    end
  end
  return true
end

local function copy(entries)
  local new = {}
  for name, kind in pairs(entries) do
    new[name] = kind
  end
  return new
end

local function kind_of(entries, name)
  return entries[name] and entries[name].kind
end

-- Each gives what is there afterwards, or nil and the code of the refusal.
local predicted = {}

function predicted.mkdir(entries, a)
  if entries[a] then
    return nil, "EEXIST"
  end
  entries[a] = { kind = "directory" }
  return entries
end

function predicted.rmdir(entries, a)
  if kind_of(entries, a) ~= "directory" then
    return nil, entries[a] and "ENOTDIR" or "ENOENT"
  end
  entries[a] = nil
  return entries
end

function predicted.remove(entries, a)
  if not entries[a] or kind_of(entries, a) == "directory" then
    return nil, entries[a] and "EISDIR" or "ENOENT"
  end
  entries[a] = nil
  return entries
end

function predicted.rename(entries, a, b)
  local from, to = entries[a], entries[b]
  if not from then
    return nil, "ENOENT"
  elseif from == to then
    return entries -- two names of one file stay as they are
  elseif to and from.kind == "directory" and to.kind ~= "directory" then
    return nil, "ENOTDIR"
  elseif to and from.kind ~= "directory" and to.kind == "directory" then
    return nil, "EISDIR"
  end
  entries[a] = nil
  entries[b] = from
  return entries
end

function predicted.noreplace(entries, a, b)
  if not entries[a] then
    return nil, "ENOENT"
  elseif entries[b] then
    return nil, "EEXIST"
  end
  return predicted.rename(entries, a, b)
end

function predicted.exchange(entries, a, b)
  if not entries[a] or not entries[b] then
    return nil, "ENOENT"
  end
  entries[a], entries[b] = entries[b], entries[a]
  return entries
end

function predicted.link(entries, a, b)
  if not entries[a] then
    return nil, "ENOENT"
  elseif entries[b] then
    return nil, "EEXIST"
  elseif kind_of(entries, a) == "directory" then
    return nil, "EPERM"
  end
  entries[b] = entries[a]
  return entries
end

function predicted.symlink(entries, _, b)
  if entries[b] then
    return nil, "EEXIST"
  end
  entries[b] = { kind = "symlink" }
  return entries
end

function predicted.readlink(entries, a)
  if kind_of(entries, a) ~= "symlink" then
    return nil, entries[a] and "EINVAL" or "ENOENT"
  end
  return entries, "nowhere"
end

function predicted.create_new(entries, a)
  if entries[a] then
    return nil, "EEXIST"
  end
  entries[a] = { kind = "file" }
  return entries
end

function predicted.create(entries, a)
  if kind_of(entries, a) == "directory" then
    return nil, "EISDIR"
  elseif kind_of(entries, a) == "symlink" then
    return nil, "ENOENT" -- it leads nowhere
  end
  entries[a] = { kind = "file" }
  return entries
end

function predicted.lstat(entries, a)
  if not entries[a] then
    return nil, "ENOENT"
  end
  return entries, entries[a].kind
end

function predicted.exists(entries, a)
  return entries, entries[a] ~= nil and kind_of(entries, a) ~= "symlink"
end

function predicted.readdir(entries)
  return entries, entries
end

local real = {}

function real.mkdir(a) return fs.mkdir(a) end
function real.rmdir(a) return fs.rmdir(a) end
function real.remove(a) return fs.remove(a) end
function real.rename(a, b) return fs.rename(a, b) end
function real.noreplace(a, b) return fs.rename(a, b, { noreplace = true }) end
function real.exchange(a, b) return fs.rename(a, b, { exchange = true }) end
function real.link(a, b) return fs.link(a, b) end
function real.symlink(_, b) return fs.symlink("nowhere/at/all", b) end
function real.exists(a) return fs.exists(a) end

function real.lstat(a)
  local kind, message, code = fs.lstat(a, "type")
  return kind == "dir" and "directory" or kind, message, code
end


function real.readlink(a)
  local text, message, code = fs.readlink(a)
  return text and "nowhere", message, code
end

local function create(a, mode)
  local file, message, code = fs.open(a, mode)
  if file then
    file:close()
    return true
  end
  return nil, message, code
end

function real.create_new(a) return create(a, "wx") end
function real.create(a) return create(a, "r+") end

function real.readdir(_, _, path)
  local list, message, code = fs.readdir(path)
  if not list then
    return nil, message, code
  end
  local entries = {}
  for _, entry in ipairs(list) do
    entries[entry.name] = entry.type or true
  end
  return entries
end

function Names:fail(step, why, ...)
  simulator.fail(("%s: %s %s %s: %s"):format(self.path, step.kind, step.a, step.b,
    why:format(...)))
end

---Of what was cancelled a removal or a link may yet come: the next look is at what there is then.
function Names:accept(step, before, after)
  local now = self:look()
  if not same(now, before) and not (after and same(now, after)) then
    self:fail(step, "neither done nor left alone")
  end
  self.entries = now
end

function Names:run(step)
  if self.restless then
    return -- something that was cancelled may happen at any time
  end
  if step.kind == "create" and not self.entries[step.a] then
    step = setmetatable({ kind = "create_new" }, { __index = step })
  end
  local before = self.entries
  local after, expected = predicted[step.kind](copy(before), step.a, step.b)
  local outcome = attempt.make(step, function()
    return real[step.kind](self.path .. "/" .. step.a, self.path .. "/" .. step.b, self.path)
  end)
  if outcome.cut then
    self.restless, self.after = step, after
  elseif outcome.code and attempt.by_weather[outcome.code] then
    self:accept(step, before, after)
  elseif outcome.code and (after or outcome.code ~= expected) then
    self:fail(step, "refused with %s, not %s", outcome.code, after and "done" or expected)
  elseif outcome.done and not after then
    self:fail(step, "done, not refused with %s", expected)
  elseif outcome.done then
    self.entries = after
    self:check_result(step, outcome[1], expected)
  end
  attempt.settle(outcome)
end

function Names:check_result(step, result, expected)
  if step.kind == "readdir" then
    for name in pairs(expected) do
      if not result[name] then
        self:fail(step, "%s was not listed", name)
      end
    end
  elseif expected ~= nil and result ~= expected then
    self:fail(step, "gave %s, not %s", tostring(result), tostring(expected))
  end
  local now = self:look()
  if not same(now, self.entries) then
    self:fail(step, "it answered, and has not happened")
  end
  self.entries = now
end

function Names:finish()
  if self.restless then
    self:accept(self.restless, self.entries, self.after)
  elseif not same(self:look(), self.entries) then
    self:fail({ kind = "end", a = "", b = "" }, "names have changed by themselves")
  end
end

return role
