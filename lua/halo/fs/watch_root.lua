-- The root of a recursive watch, which is held open: it may get another name, and what is below is
-- found all the same. But the kernel says that a directory is gone only when nobody has it open any
-- more. Only an empty one can be removed. So while the root is empty the directory that it lies in
-- is watched, too, for what is removed from it; then the root is looked at and let go. (Where that
-- directory may not be read, the removal of an empty root goes unnoticed.)

local bit = require "bit"
local core = require "halo.core"
local calls = require "halo.fs.calls"
local checked = require("halo.wait").checked

local band, bor = bit.band, bit.bor
local IN, flags = core.events, core.flags

local ABOVE_MASK = bor(IN.DELETE, IN.ONLYDIR)
local LEAVES = bor(IN.DELETE, IN.MOVED_FROM)

---@class halo.WatchRoot
---@field file halo.File? nil once it is gone
---@field private inotify halo.Subscriber
---@field private number integer inotify's
---@field private above integer? inotify's for what it lies in, while it is empty
---@field private in_doubt boolean it may be empty, or no longer, or lie elsewhere
local WatchRoot = {}
WatchRoot.__index = WatchRoot

---What has to be asked of inotify for the root itself.
WatchRoot.MASK = bor(IN.DELETE_SELF, IN.MOVE_SELF, IN.ATTRIB)

---Something has happened in the root, or to it.
---@param mask integer
function WatchRoot:note(mask)
  if self.above or band(mask, LEAVES) ~= 0 then
    self.in_doubt = self.file ~= nil
  end
end

---Whether settle() has to be called before anybody waits.
---@return boolean
function WatchRoot:is_in_doubt()
  return self.in_doubt
end

---@async
---@return boolean
local function is_empty(self)
  local file = checked(core.open(self.file, ".", flags.RDONLY + flags.DIRECTORY))
  local entries = file and checked(core.getdents(file))
  if file then
    calls.close(file)
  end
  return not entries or #entries == 0
end

---@async
---@return integer? number inotify's of the directory that the root lies in; none of "/"
local function watch_above(self)
  local file = checked(core.open(self.file, "..", flags.PATH + flags.DIRECTORY))
  if not file then
    return nil
  end
  local number = self.inotify:watch(file, ABOVE_MASK)
  calls.close(file)
  return number ~= self.number and number or nil
end

---Watches the directory that the root lies in, where that is needed.
---@async
function WatchRoot:settle()
  local before = self.above
  self.in_doubt = false
  if not self.file then
    return
  end
  self.above = is_empty(self) and watch_above(self) or nil
  if before and before ~= self.above then
    self.inotify:unwatch(before)
  end
  self:look()
end

---Whether an event may be about the root's removal.
---@param event halo.InotifyEvent
---@return boolean
function WatchRoot:concerns(event)
  return event[1] == self.above and band(event[2], IN.ISDIR) ~= 0
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
  self.file, self.in_doubt = nil, false
  if file then
    calls.close(file)
  end
end

---@param inotify halo.Subscriber
---@param number integer
---@param file halo.File
---@return halo.WatchRoot
function WatchRoot.new(inotify, number, file)
  return setmetatable({
    inotify = inotify,
    number = number,
    file = core.as_base(file),
    in_doubt = true,
  }, WatchRoot)
end

return WatchRoot
