-- Copying a tree: what has a name in a directory and is no directory itself. Each is copied by one
-- operation, with all that it keeps, and names of one file become names of one copy. Directories
-- are copytree.lua's: they are handed over by methods of the work.

local core = require "halo.core"
local dir_cache = require "halo.fs.dir_cache"
local paths = require "halo.fs.paths"
local stat_of = require "halo.fs.stat"
local checked = require("halo.wait").checked

local copy_flags = core.copy_flags

local TRIES_MAX = 8 -- for a name that is given to another kind of thing each time

---@class halo.fs.CopyWork
---@field base halo.File? that paths start from, where links are followed from there
---@field flags integer for core.copyfile
---@field keep integer those of them that say what is kept
---@field private_dirs boolean directories are for nobody else until they are done
---@field merge boolean? into directories that exist, replacing what is no directory
---@field follow boolean? symbolic links
---@field filter (fun(path: string, entry: halo.WalkEntry): any)?
---@field dirs halo.fs.DirCache
---@field workers halo.fs.Workers
---@field linked table<string, halo.fs.CopyLinked> by a stat's id
---@field root_id string? of the copy, which must not be copied
---@field failure { [1]: string, [2]: string }? message and code of the first one

---@class halo.fs.CopyLinked a file that has several names
---@field node halo.fs.CopyNode the directory of its first one
---@field name string
---@field left integer names that may yet be found
---@field done boolean whether it is copied
---@field waiting { [1]: halo.fs.CopyNode, [2]: halo.Entry }[] names found before that

---@class halo.fs.CopyNode a directory being copied; pending as long as anything in it is
---@field parent halo.fs.CopyNode?
---@field from halo.fs.Node
---@field to halo.fs.Node
---@field depth integer of what is in it
---@field pending integer
---@field tries integer
---@field stat halo.Stat? of the original
---@field made boolean? whether its copy is new
---@field exists boolean? whether it has a copy
---@field prefix string? of the paths of what is in it

local copy_entries = {}

-- ---- failures ----------------------------------------------------------------------------------

---The path of a name in a directory; of the directory itself without one.
function copy_entries.path_of(node, name)
  local names = { name }
  while node.parent do
    table.insert(names, 1, node.name)
    node = node.parent
  end
  local below = table.concat(names, "/")
  return below == "" and node.name or paths.prefix(node.name) .. below
end

---Remembers the first failure, its message about whole paths instead of names.
function copy_entries.fail(self, message, code, path, other)
  if not self.failure then
    local text = message:match "^%w+: [^:]*" or message
    self.failure = { text .. ": " .. path .. (other and " -> " .. other or ""), code }
  end
end

---Of an original and its copy.
function copy_entries.fail_both(self, node, name, message, code)
  local from, to = copy_entries.path_of(node.from, name), copy_entries.path_of(node.to, name)
  copy_entries.fail(self, message, code, from, to)
end

---Of a directory that could not be opened: from is one that is gone.
function copy_entries.fail_open(self, node, message, code, refused)
  local is_copy = refused == node.to or node.parent and refused == node.parent.to
  if is_copy then
    copy_entries.fail(self, message, code, copy_entries.path_of(refused))
  elseif code ~= "ENOENT" then
    copy_entries.fail(self, message, code, copy_entries.path_of(node.from))
  end
end

local path_of, fail, fail_both = copy_entries.path_of, copy_entries.fail, copy_entries.fail_both

-- ---- what is no directory ----------------------------------------------------------------------

---Where a name in a directory is looked up: links are followed from the start of all.
local function place_of(self, node, from, entry)
  if entry.followed and self.base then
    return self.base, path_of(node.from, entry.name)
  end
  return from, entry.name
end

local function follows(entry)
  return entry.followed and copy_flags.no_follow or 0
end

---Makes something that must be new, in the place of what is there where that is wanted. Where that
---cannot be removed the fourth result is true.
---@async
local function make(self, to, name, call, ...)
  local ok, message, code = checked(call(...))
  if code == "EEXIST" and self.merge then
    ok, message, code = checked(core.remove(to, name))
    if not ok and code ~= "ENOENT" then
      return nil, message, code, true
    end
    ok, message, code = checked(call(...))
  end
  return ok, message, code
end

---@async
local function copy_file(self, node, from, to, entry, more)
  local file, path = place_of(self, node, from, entry)
  return make(self, to, entry.name, core.copyfile, file, path, to, entry.name,
    self.flags - follows(entry) + more)
end

---Whether the original has vanished: the copy's directory may have as well, and that is a failure.
---@async
local function is_gone(self, node, from, entry)
  local file, path = place_of(self, node, from, entry)
  return not stat_of.ask(core.lstat, "lstat", path, file, "mode")
end

local copy_linked

---What came of the copying of a name. Returns false where it has to be tried again.
---@async
local function settle(self, node, from, to, entry, message, code, taken)
  if taken then
    fail(self, message, code, path_of(node.to, entry.name))
  elseif code == "EMLINK" then
    return copy_linked(self, node, from, to, entry)
  elseif code == "EISDIR" and (entry.tries or 0) < TRIES_MAX then
    entry.tries = (entry.tries or 0) + 1
    self:add_dir(node, entry)
  elseif dir_cache.is_scarce(code) then
    return false
  elseif code ~= "ENOENT" or not is_gone(self, node, from, entry) then
    fail_both(self, node, entry.name, message, code)
  end
  return true
end

---@async
local function copy_plain(self, node, from, to, entry)
  local ok, message, code, taken = copy_file(self, node, from, to, entry, copy_flags.single)
  return ok and true or settle(self, node, from, to, entry, message, code, taken)
end

---Gives a copy another name.
---@async
local function link_name(self, node, entry, linked)
  local first = linked.node.to
  local to, source, code, refused = self.dirs:acquire(node.to, first ~= node.to and first or nil)
  if not to then
    fail(self, source, code, path_of(refused))
  else
    local name = entry.name
    local ok, message
    ok, message, code = make(self, to, name, core.link, source or to, linked.name, to, name)
    if not ok then
      fail(self, message, code, path_of(first, linked.name), path_of(node.to, name))
    end
    self.dirs:release(node.to, first ~= node.to and first or nil)
  end
end

---@async
local function link_job(self, item)
  link_name(self, item[1], item[2], item[3])
  self:complete(item[1])
end

local function add_link(self, node, entry, linked)
  node.pending = node.pending + 1
  self.workers:add(link_job, self, { node, entry, linked })
end

---Copies a file by the first of its names; for the others it waits.
---@async
local function copy_first(self, node, from, to, entry, id, linked)
  self.linked[id] = linked
  local ok, message, code, taken = copy_file(self, node, from, to, entry, 0)
  local waiting = linked.waiting
  linked.waiting, linked.done = {}, true
  if ok then
    for i = 1, #waiting do
      self.workers:add(link_job, self, { waiting[i][1], waiting[i][2], linked })
    end
    return true
  end
  self.linked[id] = nil
  for i = 1, #waiting do -- each has to see for itself
    self:add_names(waiting[i][1], { waiting[i][2] })
    waiting[i][1].pending = waiting[i][1].pending - 1
  end
  return settle(self, node, from, to, entry, message, code, taken)
end

---@async
function copy_linked(self, node, from, to, entry)
  local file, path = place_of(self, node, from, entry)
  local look = entry.followed and core.stat or core.lstat
  local stat, message, code = stat_of.ask(look, "lstat", path, file)
  if not stat then
    if code ~= "ENOENT" then
      fail(self, message, code, path_of(node.from, entry.name))
    end
    return true
  end
  local id = stat.id
  local linked = self.linked[id]
  if not linked then
    linked = { node = node, name = entry.name, left = stat.nlink - 1, done = false, waiting = {} }
    return copy_first(self, node, from, to, entry, id, linked)
  end
  linked.left = linked.left - 1
  if linked.left == 0 then
    self.linked[id] = nil
  end
  if linked.done then
    add_link(self, node, entry, linked)
  else
    node.pending = node.pending + 1
    table.insert(linked.waiting, { node, entry })
  end
  return true
end

---A symbolic link as what it leads to; one that leads nowhere is just a link.
---@async
local function copy_followed(self, node, from, to, entry)
  entry.followed = true
  local file, path = place_of(self, node, from, entry)
  local mode, message, code = stat_of.ask(core.stat, "stat", path, file, "type")
  if mode == "dir" then
    self:add_dir(node, entry)
    return true
  elseif not mode and (code == "ENOENT" or code == "ELOOP") then
    entry.followed = false
  elseif not mode then
    fail(self, message, code, path_of(node.from, entry.name))
    return true
  end
  return copy_plain(self, node, from, to, entry)
end

---Copies names in directories that are open. Returns how far it came without being out of
---descriptors.
---@async
function copy_entries.copy(self, node, from, to, list, first)
  for i = first, #list do
    local entry = list[i]
    local copy = self.follow and entry.type == "symlink" and copy_followed or copy_plain
    if not copy(self, node, from, to, entry) then
      return i
    end
  end
  return #list + 1
end

return copy_entries
