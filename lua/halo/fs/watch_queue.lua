-- The kernel's events that one watch has still to look at, in order.
--
-- Where nobody takes them, only so many are kept. From then on they are dropped, and an overflow
-- among them says so: who comes to it looks for himself, and sees all that was dropped until then.

local bit = require "bit"
local core = require "halo.core"
local Queue = require "halo.queue"

local band, bor = bit.band, bit.bor
local IN = core.events

local MAX = 16384 -- as many as the kernel keeps, unless it was told otherwise
local BETWEEN_MAX = 1000 -- events from one half of a move to the other
local RENAMES = bor(IN.DELETE, IN.MOVED_FROM, IN.MOVED_TO)

---@class halo.InotifyEvent
---@field [1] integer the number of the watch
---@field [2] integer mask
---@field [3] integer cookie, the same for both halves of a move
---@field [4] string|false name in the directory; false where it is about the watched itself
---@field read_at number on the clock of halo.now()

---@class halo.WatchQueue
---@field private events halo.Queue
---@field private renamed table<integer, table<string, integer>> in the queue, by watch and name
---@field private overflow halo.InotifyEvent|false in the queue, for what was dropped
---@field private marks integer counts those that were put
local WatchQueue = {}
WatchQueue.__index = WatchQueue

---@return halo.WatchQueue
function WatchQueue.new()
  local self = { events = Queue.new(), renamed = {}, overflow = false, marks = 0 }
  return setmetatable(self, WatchQueue)
end

---Counts the events after which a directory's name means something else.
local function count_rename(self, event, by)
  local number, mask, name = event[1], event[2], event[4]
  if name and band(mask, IN.ISDIR) ~= 0 and band(mask, RENAMES) ~= 0 then
    local names = self.renamed[number] or {}
    self.renamed[number] = names
    local count = (names[name] or 0) + by
    names[name] = count > 0 and count or nil
    if not next(names) then
      self.renamed[number] = nil
    end
  end
end

---Whether the name in a watched directory will mean something else further on.
---@return boolean
function WatchQueue:is_renamed(number, name)
  local names = self.renamed[number]
  return names ~= nil and names[name] ~= nil
end

---@param event halo.InotifyEvent shared by all watches that get it
function WatchQueue:push(event)
  if self.events:size() < MAX or band(event[2], IN.IGNORED) ~= 0 then
    self.events:push(event)
    count_rename(self, event, 1)
  elseif not self.overflow then
    self.overflow = { -1, IN.Q_OVERFLOW, 0, false, read_at = event.read_at }
    self.events:push(self.overflow)
  end
end

---Puts a mark behind all events. It reads as if a watch of that number had ended.
---@return integer number which no watch has
function WatchQueue:put_mark()
  self.marks = self.marks + 1
  local number = -1 - self.marks
  self.events:push { number, IN.IGNORED, 0, false, read_at = core.now() }
  return number
end

---The first event, without taking it.
---@return halo.InotifyEvent?
function WatchQueue:first()
  return self.events:at(1)
end

---Takes an event out of the queue.
---@param event halo.InotifyEvent
function WatchQueue:remove(event)
  if event == self.events:at(1) then
    self.events:pop()
  else
    self.events:remove(event)
  end
  if event == self.overflow then
    self.overflow = false
  end
  count_rename(self, event, -1)
end

---Where the file of a MOVED_FROM has gone to, if that is here. What others did at the same time
---comes between the two, and no more.
---@param moved_from halo.InotifyEvent the first event
---@return halo.InotifyEvent?
function WatchQueue:other_half(moved_from)
  local cookie, events = moved_from[3], self.events
  for i = 2, math.min(events:size(), BETWEEN_MAX) do
    local event = events:at(i)
    if event[3] == cookie and band(event[2], IN.MOVED_TO) ~= 0 then
      return event
    end
  end
end

return WatchQueue
