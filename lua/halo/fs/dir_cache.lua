-- A cache of open directories of a tree, each opened by its name in its parent and never through a
-- symbolic link: somebody who changes the tree while halo works in it cannot lead it elsewhere, and
-- no path gets too long.
--
-- Only so many are open at a time. The one that was opened first, and is nearest to the root, is
-- evicted for a new one, and opened again, by the same names from the root, when it is needed.

local core = require "halo.core"
local checked = require("halo.wait").checked

local flags = core.flags

local OPEN_MAX = 128
local LISTABLE = flags.RDONLY + flags.DIRECTORY

---@class halo.fs.Node a directory of the tree
---@field parent halo.fs.Node? nil for the root
---@field name string in the parent; the root's path
---@field users integer who have acquired it and not released it
---@field file halo.File? while it is open
---@field newer halo.fs.Node? among the open ones
---@field older halo.fs.Node?

---@class halo.fs.DirCache
---@field private open integer
---@field private oldest halo.fs.Node?
---@field private newest halo.fs.Node?
local DirCache = {}
DirCache.__index = DirCache

local dir_cache = {}

---@return halo.fs.DirCache
function dir_cache.new()
  return setmetatable({ open = 0 }, DirCache)
end

local function link(self, node)
  local newest = self.newest
  node.older, node.newer = newest, nil
  if newest then
    newest.newer = node
  else
    self.oldest = node
  end
  self.newest = node
  self.open = self.open + 1
end

local function unlink(self, node)
  local older, newer = node.older, node.newer
  if older then
    older.newer = newer
  else
    self.oldest = newer
  end
  if newer then
    newer.older = older
  else
    self.newest = older
  end
  node.older, node.newer = nil, nil
  self.open = self.open - 1
end

---Closes a directory that nobody uses; nothing happens where it is not open.
---@async
function DirCache:close(node)
  local file = node.file
  if file then
    node.file = nil
    unlink(self, node)
    core.close(file)
  end
end

---Closes all. In a task that was cancelled the closes are carried out, and raise all the same.
function DirCache:close_all()
  while self.oldest do
    pcall(self.close, self, self.oldest)
  end
end

---@async
local function evict(self)
  local node = self.oldest
  while node and self.open >= OPEN_MAX do
    local newer = node.newer
    if node.users == 0 then
      self:close(node)
    end
    node = newer
  end
end

---Opens a directory whose parent, where it has one, is open and in use.
---@async
local function open(self, node)
  if node.file then
    return true
  elseif self.open >= OPEN_MAX then
    evict(self)
  end
  local file, message, code
  if node.parent then
    file, message, code = checked(core.open(node.parent.file, node.name, LISTABLE + flags.NOFOLLOW))
  else
    file, message, code = checked(core.open(node.name, LISTABLE))
  end
  if not file then
    return nil, message, code
  elseif node.file then
    core.close(file) -- another task was faster
  else
    node.file = core.as_base(file)
    link(self, node)
  end
  return true
end

---Opens a directory and those above it that are not open.
---@async
local function open_all(self, node)
  local missing, above = { node }, node.parent
  while above and not above.file do
    missing[#missing + 1] = above
    above = above.parent
  end
  if above then
    above.users = above.users + 1
  end
  for i = #missing, 1, -1 do
    missing[i].users = missing[i].users + 1
    local ok, message, code = open(self, missing[i])
    if above then
      above.users = above.users - 1
    end
    above = missing[i]
    if not ok then
      above.users = above.users - 1
      return nil, message, code
    end
  end
  node.users = node.users - 1
  return true
end

---The directory's file, which stays open until release() is called as often as acquire().
---@async
---@param node halo.fs.Node
---@return halo.File?
---@return any message
---@return string? code
function DirCache:acquire(node)
  node.users = node.users + 1
  if not node.file then
    local ok, message, code = open_all(self, node)
    if not ok then
      node.users = node.users - 1
      return nil, message, code
    end
  end
  return node.file
end

---Says that a directory that was acquired is not used any more.
function DirCache:release(node) -- luacheck: no self
  node.users = node.users - 1
end

return dir_cache
