-- An inotify(7) instance and the events that were read from it.

local bit = require "bit"
local core = require "halo.core"
local Queue = require "halo.queue"
local calls = require "halo.fs.calls"
local errors = require "halo.fs.errors"
local scope = require "halo.scope"
local wait = require "halo.wait"

local checked = wait.checked
local IN = core.events

local READ_BYTES = 65536
local GRACE_S = 0.02 -- between the two halves of a move, which the kernel tells one after the other
local MARK_PATH = "/dev/null" -- it is always there, and no directory
local RENAMES = bit.bor(IN.DELETE, IN.MOVED_FROM, IN.MOVED_TO)

---@class halo.InotifyEvent
---@field [1] integer the number of the watch
---@field [2] integer mask
---@field [3] integer cookie, the same for both halves of a move
---@field [4] string|false name in the directory; false where it is about the watched itself
---@field read_at number on the clock of halo.now()

---@class halo.Inotify
---@field private path string what it was made for
---@field private file halo.File
---@field private queue halo.Queue events, in the kernel's order
---@field private renamed table<integer, table<string, integer>> in the queue, by watch and name
local Inotify = {}
Inotify.__index = Inotify

---Watches a path. Where its file is watched already, the number is the same.
---@async
---@param path string
---@param mask integer of core.events
---@return integer? number
---@return string? message
---@return string? code
function Inotify:watch(path, mask)
  local number, message, code = checked(core.watch(self.file, path, mask))
  if not number then
    return nil, errors.with_path(message, self.path, path), code
  end
  return number
end

---Ends a watch, which the kernel reports by an event. Nothing happens where it was faster.
---@async
---@param number integer
function Inotify:unwatch(number)
  checked(core.unwatch(self.file, number))
end

---Waits until there is something to read. No event fits into one byte, so that a read of one is
---refused and takes nothing: it may be cancelled. False where the instance was closed.
---@async
---@return boolean
function Inotify:wait()
  local _, _, code = checked(core.read(self.file, 1))
  return code == "EINVAL"
end

---Counts the events of the queue after which a directory's name means something else.
local function count_rename(self, event, by)
  local number, mask, name = event[1], event[2], event[4]
  if name and bit.band(mask, IN.ISDIR) ~= 0 and bit.band(mask, RENAMES) ~= 0 then
    local names = self.renamed[number] or {}
    self.renamed[number] = names
    local count = (names[name] or 0) + by
    names[name] = count > 0 and count or nil
    if not next(names) then
      self.renamed[number] = nil
    end
  end
end

---Whether the name in a watched directory will mean something else further on in the queue.
---@return boolean
function Inotify:is_renamed(number, name)
  local names = self.renamed[number]
  return names ~= nil and names[name] ~= nil
end

---Reads what there is. Not to be cancelled.
---@async
---@return halo.InotifyEvent[] # nothing where the instance was closed
function Inotify:read()
  local events = core.parse_events(calls.read(self.file, READ_BYTES) or "")
  local now = core.now()
  for _, event in ipairs(events) do
    event.read_at = now
    self.queue:push(event)
    count_rename(self, event, 1)
  end
  return events
end

---The first event, without taking it.
---@return halo.InotifyEvent?
function Inotify:first()
  return self.queue:at(1)
end

---Takes an event out of the queue.
---@param event halo.InotifyEvent
function Inotify:remove(event)
  if event == self:first() then
    self.queue:pop()
  else
    self.queue:remove(event)
  end
  count_rename(self, event, -1)
end

local function find_other_half(self, cookie)
  for i = 1, self.queue:size() do
    local event = self.queue:at(i)
    if event[3] == cookie and bit.band(event[2], IN.MOVED_TO) ~= 0 then
      return event
    end
  end
end

---Looks a little longer for what may follow an event.
---@async
local function wait_longer(self, event)
  local left = event.read_at + GRACE_S - core.now()
  if left <= 0 or not core.current() then
    return false
  end
  local readable = scope.timeout(left, self.wait, self)
  if readable then
    scope.shield(self.read, self)
  end
  return readable
end

---The other half of a move, nil where it led out of what is watched.
---@async
---@param event halo.InotifyEvent
---@return halo.InotifyEvent?
function Inotify:other_half(event)
  local other
  repeat
    other = find_other_half(self, event[3])
  until other or not wait_longer(self, event)
  return other
end

---Puts a mark into the queue, and reads what stands before it. The mark is a watch that is gone at
---once, which the kernel then reports. Not to be cancelled.
---@async
---@return integer? number of the watch that the event is about; nil where events were lost
function Inotify:mark()
  local mark = self:watch(MARK_PATH, IN.DELETE_SELF)
  if not mark then
    return nil
  end
  self:unwatch(mark)
  repeat
    local events = self:read()
    for _, event in ipairs(events) do
      if event[1] == mark then
        return mark
      elseif bit.band(event[2], IN.Q_OVERFLOW) ~= 0 then
        return nil
      end
    end
  until #events == 0 -- since the instance was closed
end

---@async
---@return true?
---@return string? message
---@return string? code
function Inotify:close()
  if not core.is_open(self.file) then
    return true
  end
  return calls.close(self.file)
end

---@param path string what it is for
---@return halo.Inotify?
---@return string? message
---@return string? code
return function(path)
  local file, message, code = checked(core.watcher(path))
  if not file then
    return nil, message, code
  end
  local self = { path = path, file = file, queue = Queue.new(), renamed = {} }
  return setmetatable(self, Inotify)
end
