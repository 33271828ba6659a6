-- The root of a recursive watch, which is held open: it may get another name, and what is below is
-- found all the same. But the kernel says that a directory is gone only when nobody has it open any
-- more. So the directory that the root lies in is watched, too, for what is removed from it, and
-- then the root is looked at and let go. (Where that directory may not be read, the removal of the
-- root goes unnoticed.)

local bit = require "bit"
local core = require "halo.core"
local calls = require "halo.fs.calls"
local checked = require("halo.wait").checked

local IN = core.events
local OPEN_FLAGS = core.flags.PATH + core.flags.DIRECTORY
local PARENT_MASK = bit.bor(IN.DELETE, IN.ONLYDIR)

---@class halo.WatchRoot
---@field file halo.File? nil once it is gone
---@field private inotify halo.Subscriber
---@field private above integer? inotify's number for what it lies in
local WatchRoot = {}
WatchRoot.__index = WatchRoot

---What has to be asked of inotify for the root itself.
WatchRoot.MASK = bit.bor(IN.DELETE_SELF, IN.MOVE_SELF, IN.ATTRIB)

---Watches the directory that the root lies in now. The root itself is that in "/".
---@async
---@param number integer the root's own
function WatchRoot:settle(number)
  local before = self.above
  local file = checked(core.open(self.file, "..", OPEN_FLAGS))
  self.above = file and self.inotify:watch(file, PARENT_MASK)
  if file then
    calls.close(file)
  end
  if self.above == number then
    self.above = nil
  end
  if before and before ~= self.above then
    self.inotify:unwatch(before)
  end
end

---Whether an event may be about the root's removal.
---@param event halo.InotifyEvent
---@return boolean
function WatchRoot:concerns(event)
  return event[1] == self.above and bit.band(event[2], IN.ISDIR) ~= 0
end

---Lets the root go if it is no longer in any directory, so that the kernel reports its end.
---@async
function WatchRoot:look()
  if self.file and calls.fstat(self.file, "nlink") == 0 then
    self:close()
  end
end

---@async
function WatchRoot:close()
  local file = self.file
  self.file = nil
  if file then
    calls.close(file)
  end
end

---@param inotify halo.Subscriber
---@param file halo.File
---@return halo.WatchRoot
function WatchRoot.new(inotify, file)
  return setmetatable({ inotify = inotify, file = core.as_base(file) }, WatchRoot)
end

return WatchRoot
