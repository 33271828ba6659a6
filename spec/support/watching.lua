-- What specs of fs.watch share: events as short texts, and a picture of a tree that is made of
-- events alone.

local halo = require "halo"
local command = require "spec.support.command"
local slowness = require "spec.support.slowness"

local watching = {}

---An event in a line: "create a/b", "move a -> b"; directories have a slash behind them.
---@param event halo.WatchEvent
---@param root string
---@return string
function watching.describe(event, root)
  local function short(path)
    path = path == root and "." or path:sub(#root + 2)
    return event.is_dir and path .. "/" or path
  end
  local text = event.type .. " " .. (event.from and short(event.from) .. " -> " or "")
    .. (event.from and not event.to and "?" or short(event.path))
  return event.moved and text .. " (moved)" or text
end

local SENTINEL = "the-end"

---The events of what a command of the shell does in the directory, all of them in order.
---@param watch halo.Watch which tells of "create"
---@param root string
---@param line string
---@return string[]
function watching.events_of(watch, root, line)
  local sentinel = command.quote(root .. "/" .. SENTINEL)
  os.execute(("cd %s && %s; touch %s; rm %s"):format(command.quote(root), line, sentinel, sentinel))
  local events = {}
  for event in watch do
    if event.name ~= SENTINEL then
      events[#events + 1] = watching.describe(event, root)
    elseif event.type == "delete" then
      return events
    end
  end
  error("the watch has ended", 2)
end

local PATIENCE_S, QUIET_ROUNDS = 30 * slowness, 3

---Takes all events of what has happened, however long that lasts. What was put off because of later
---events comes behind those, and may be put off twice: so new ones are made until nothing else
---comes between them.
---@param watch halo.Watch which tells of names alone
---@param root string
---@param take fun(event: halo.WatchEvent)
function watching.drain(watch, root, take)
  local number, quiet = 0, 0
  while quiet < QUIET_ROUNDS do
    number, quiet = number + 1, quiet + 1
    local path = ("%s/quiet%d"):format(root, number)
    assert(halo.fs.writefile(path, ""))
    repeat
      local event = assert(halo.timeout(PATIENCE_S, watch.next, watch))
      take(event)
      quiet = event.path == path and quiet or 0
    until event.path == path
  end
end

---@class spec.Picture of a tree, as events tell of it
---@field entries table<string, boolean> whether it is a directory, by path
---@field faults string[] events that do not fit
local Picture = {}
Picture.__index = Picture

---@param root string
---@return spec.Picture
function watching.picture(root)
  return setmetatable({ root = root, entries = {}, faults = {} }, Picture)
end

---The paths at and below this one.
local function below(self, path)
  local found = {}
  for entry in pairs(self.entries) do
    if entry == path or entry:sub(1, #path + 1) == path .. "/" then
      found[#found + 1] = entry
    end
  end
  return found
end

local function drop(self, path)
  for _, entry in ipairs(below(self, path)) do
    self.entries[entry] = nil
  end
end

local function expect(self, event, condition, fault)
  if not condition then
    table.insert(self.faults, fault .. ": " .. watching.describe(event, self.root))
  end
end

local handlers = {}

function handlers.create(self, event)
  local path, entries = event.path, self.entries
  local parent = path:match "^(.*)/"
  expect(self, event, entries[path] == nil or event.moved, "it is there already")
  expect(self, event, parent == self.root or entries[parent], "its directory is not there")
  drop(self, path)
  entries[path] = event.is_dir
end

function handlers.delete(self, event)
  local path = event.path
  expect(self, event, self.entries[path] ~= nil, "it is not there")
  expect(self, event, event.moved or #below(self, path) == 1, "it is not empty")
  drop(self, path)
end

function handlers.move(self, event)
  expect(self, event, self.entries[event.from] ~= nil, "it is not there")
  drop(self, event.to)
  for _, entry in ipairs(below(self, event.from)) do
    self.entries[event.to .. entry:sub(#event.from + 1)] = self.entries[entry]
    self.entries[entry] = nil
  end
end

---@param event halo.WatchEvent "create", "delete" or "move"; others are faults
function Picture:add(event)
  if handlers[event.type] then
    handlers[event.type](self, event)
  else
    expect(self, event, false, "it does not belong here")
  end
end

---What it looks like: paths from the root, in order, directories with a slash behind them.
---@return string[]
function Picture:list()
  local list = {}
  for path, is_dir in pairs(self.entries) do
    list[#list + 1] = path:sub(#self.root + 2) .. (is_dir and "/" or "")
  end
  table.sort(list)
  return list
end

return watching
