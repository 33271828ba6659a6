-- Copying trees, file by file and many at a time. fs.copytree and fs.move are built on this.

local bit = require "bit"
local calls = require "halo.fs.calls"
local core = require "halo.core"
local errors = require "halo.fs.errors"
local checked = require("halo.wait").checked
local workers = require "halo.fs.workers"

local band, bor, bnot, rshift = bit.band, bit.bor, bit.bnot, bit.rshift

local NAMES_MAX = 8 -- copied one after the other by one task
local QUEUED_MAX = 256 -- jobs; a worker that finds more copies them itself
local OWNER_BITS, PERM_BITS, SAFE_BITS = tonumber("700", 8), tonumber("7777", 8), tonumber("777", 8)

---@class halo.fs.CopyWork
---@field flags integer for core.copyfile
---@field mode boolean? the permission bits too
---@field times boolean?
---@field owner boolean? where that is permitted, and then the mode after it
---@field xattrs boolean? where the file system has them
---@field merge boolean? into directories that exist, replacing what is no directory
---@field workers halo.fs.Workers
---@field linked table<string, halo.fs.CopyLinked> by a stat's id
---@field root string? the id of the copy, which must not be copied
---@field failure { [1]: string, [2]: string }? message and code of the first one

---@class halo.fs.CopyLinked a file that has several names
---@field to string? its copy, once that is made
---@field waiting { to: string, node: halo.fs.CopyNode }[] names found before that

local Work = {}
Work.__index = Work

function Work:fail(message, code)
  self.failure = self.failure or { message, code }
end

-- ---- attributes --------------------------------------------------------------------------------

---What is refused to attributes by another file system, or to somebody without privileges.
local ignored_codes = { EOPNOTSUPP = true, EPERM = true, EACCES = true, ENODATA = true }

---@async
local function copy_xattrs(self, from, to)
  local names, message, code = calls.listxattr(from)
  for _, name in ipairs(names or {}) do
    local ok
    ok, message, code = calls.getxattr(from, name)
    if ok then
      ok, message, code = calls.setxattr(to, name, ok)
    end
    if not ok and not ignored_codes[code] then
      self:fail(message, code)
    end
  end
  if not names and not ignored_codes[code] then
    self:fail(message, code)
  end
end

---Without the owner, the bits that lend the owner's rights would lend somebody else's.
---@async
local function copy_mode(self, to, stat)
  local bits = band(stat.mode, PERM_BITS)
  if self.owner and not calls.lchown(to, stat.uid, stat.gid) then
    bits = band(bits, SAFE_BITS)
  end
  if stat.is_symlink then
    return true
  end
  return calls.chmod(to, ("%o"):format(bits))
end

---@async
local function copy_times(to, stat)
  return calls.lutime(to, { stat.atime, stat.atime_nsec }, { stat.mtime, stat.mtime_nsec })
end

---What core.copyfile has not kept. Times come last, as they change with the rest.
---@async
local function copy_attributes(self, from, to, stat, is_file)
  local ok, message, code = true, nil, nil
  if self.xattrs and (is_file or stat.is_dir) then
    copy_xattrs(self, from, to)
  end
  if self.owner or self.mode and not is_file then
    ok, message, code = copy_mode(self, to, stat)
  end
  if ok and self.times and (self.owner or not is_file) then
    ok, message, code = copy_times(to, stat)
  end
  if not ok then
    self:fail(message, code)
  end
end

-- ---- what is no directory ----------------------------------------------------------------------

---Makes something that must be new, in the place of what is there where that is wanted.
---@async
local function make(self, to, call, a, b, c, d, e)
  local ok, message, code = checked(call(a, b, c, d, e))
  if code == "EEXIST" and self.merge then
    ok, message, code = calls.remove(to)
    if ok or code == "ENOENT" then
      ok, message, code = checked(call(a, b, c, d, e))
    end
  end
  if not ok then
    self:fail(message, code)
  end
  return ok
end

---A device's number as its major and its minor one.
local function device(rdev)
  return band(rshift(rdev, 8), 0xfff), bor(band(rdev, 0xff), band(rshift(rdev, 12), 0xfff00))
end

---@async
local function copy_symlink(self, from, to)
  local target, message, code = calls.readlink(from)
  if not target then
    return self:fail(message, code)
  end
  return make(self, to, core.symlink, target, to)
end

---@async
local function copy_special(self, stat, to)
  local major, minor = device(stat.rdev)
  return make(self, to, core.mknod, to, stat.type, band(stat.mode, SAFE_BITS), major, minor)
end

---@async
local function copy_plain(self, from, to, stat)
  local ok
  if stat.is_file then
    ok = make(self, to, core.copyfile, from, to, self.flags)
  elseif stat.is_symlink then
    ok = copy_symlink(self, from, to)
  else
    ok = copy_special(self, stat, to)
  end
  if ok then
    copy_attributes(self, from, to, stat, stat.is_file)
  end
  return ok
end

-- ---- directories -------------------------------------------------------------------------------

---@class halo.fs.CopyNode a directory being copied; pending as long as anything in it is
---@field parent halo.fs.CopyNode?
---@field from string
---@field to string
---@field stat halo.Stat
---@field pending integer
---@field made boolean whether its copy is new
---@field exists boolean whether it has a copy

local function new_node(parent, from, to, stat)
  return { parent = parent, from = from, to = to, stat = stat, pending = 1 }
end

---The owner's bits that the directory has only to be filled are taken off again.
---@async
local function finish_dir(self, node)
  local from, to, stat = node.from, node.to, node.stat
  local extra = band(bnot(stat.mode), OWNER_BITS)
  if node.made and extra ~= 0 and not self.mode and not self.owner then
    local bits, message, code = calls.lstat(to, "mode")
    if bits then
      bits, message, code = calls.chmod(to, ("%o"):format(band(bits, PERM_BITS, bnot(extra))))
    end
    if not bits then
      self:fail(message, code)
    end
  end
  copy_attributes(self, from, to, stat, false)
end

---@async
local function complete(self, node)
  node.pending = node.pending - 1
  while node and node.pending == 0 do
    if node.exists then
      finish_dir(self, node)
    end
    node = node.parent
    if node then
      node.pending = node.pending - 1
    end
  end
end

---@async
local function make_dir(self, node)
  local to = node.to
  local ok, message, code = calls.mkdir(to, bor(band(node.stat.mode, SAFE_BITS), OWNER_BITS))
  if ok then
    node.made = true
  elseif code == "EEXIST" and self.merge then
    local look = node.parent and calls.lstat or calls.stat
    ok = look(to, "is_dir")
  end
  if ok and not self.root then
    self.root, message, code = calls.stat(to, "id")
    ok = self.root
  end
  if not ok then
    self:fail(message, code)
  end
  node.exists = ok
  return ok
end

local copy_names

---Copies names that were found, or lets another task do so.
---@async
local function dispatch(self, node, names)
  node.pending = node.pending + 1
  if self.workers:queued() > QUEUED_MAX then
    copy_names(self, node, names)
  else
    self.workers:add(copy_names, self, node, names)
  end
end

---@async
local function fill_dir(self, node)
  local entries, message, code = calls.readdir(node.from)
  if not entries then
    return self:fail(message, code)
  end
  local names = {}
  for i = 1, #entries do
    names[#names + 1] = entries[i].name
    if #names == NAMES_MAX or i == #entries then
      dispatch(self, node, names)
      names = {}
    end
  end
end

---@async
local function copy_dir(self, node)
  if self.root == node.stat.id then
    self:fail(select(2, errors.refuse("EINVAL", "a directory cannot be copied into itself",
      node.from .. " -> " .. node.to)))
  elseif make_dir(self, node) then
    fill_dir(self, node)
  end
  complete(self, node)
end

---Copies a file by the first of its names that is found; the others become links to the copy.
---@async
local function copy_linked(self, node, from, to, stat)
  local linked = self.linked[stat.id]
  if linked and linked.to then
    return make(self, to, core.link, linked.to, to)
  elseif linked then
    node.pending = node.pending + 1
    return table.insert(linked.waiting, { to = to, node = node })
  end
  linked = { waiting = {} }
  self.linked[stat.id] = linked
  copy_plain(self, from, to, stat)
  linked.to = to
  for _, other in ipairs(linked.waiting) do
    make(self, other.to, core.link, to, other.to)
    complete(self, other.node)
  end
end

---@async
local function copy_name(self, node, name)
  local from, to = node.from .. "/" .. name, node.to .. "/" .. name
  local stat, message, code = calls.lstat(from)
  if not stat then
    if code ~= "ENOENT" then
      self:fail(message, code)
    end
  elseif stat.is_dir then
    node.pending = node.pending + 1
    self.workers:add(copy_dir, self, new_node(node, from, to, stat))
  elseif stat.nlink > 1 then
    copy_linked(self, node, from, to, stat)
  else
    copy_plain(self, from, to, stat)
  end
end

---@async
function copy_names(self, node, names)
  for i = 1, #names do
    copy_name(self, node, names[i])
  end
  complete(self, node)
end

---@async
local function copy_root(self, node)
  if node.stat.is_dir then
    copy_dir(self, node)
  else
    copy_plain(self, node.from, node.to, node.stat)
  end
end

---Copies what is at a path, goes on after a failure, and returns the first one.
---@async
---@param from string
---@param to string
---@param stat halo.Stat of from
---@param options table flags, mode, times, owner, xattrs and merge of halo.fs.CopyWork
---@return true?
---@return string? message
---@return string? code
return function(from, to, stat, options)
  local self = setmetatable({ workers = workers.new(), linked = {} }, Work)
  for name, value in pairs(options) do
    self[name] = value
  end
  workers.run(self.workers, copy_root, self, new_node(nil, from, to, stat))
  if self.failure then
    return nil, self.failure[1], self.failure[2]
  end
  return true
end
