-- Copying trees, many names at a time, below open directories on both sides: whoever swaps a name
-- while halo works can lead it nowhere else, neither to read nor to write. fs.copytree and fs.move
-- are built on this.
--
-- What is no directory is copied by one operation, with all that it keeps. A directory is made for
-- nobody else, filled, and given what it keeps when all in it is done.

local bit = require "bit"
local copy_entries = require "halo.fs.copy_entries"
local core = require "halo.core"
local dir_cache = require "halo.fs.dir_cache"
local meta = require "halo.fs.meta"
local paths = require "halo.fs.paths"
local stat_of = require "halo.fs.stat"
local wait = require "halo.wait"
local workers = require "halo.fs.workers"

local checked, guard = wait.checked, wait.guard
local band, bor, bnot = bit.band, bit.bor, bit.bnot
local copy_flags, flags = core.copy_flags, core.flags

local NAMES_MAX = 8 -- copied one after the other by one task
local QUEUED_MAX = 256 -- jobs; a worker that finds more copies them itself
local TRIES_MAX = 8 -- for a name that is given to another kind of thing each time
local OWNER_BITS, PERM_BITS, SAFE_BITS = tonumber("700", 8), tonumber("7777", 8), tonumber("777", 8)
local LISTABLE = flags.RDONLY + flags.DIRECTORY
local PINS, SLOT = 6, 5 -- descriptors: the holders of both roots, the roots; of a job

local path_of, fail, fail_both = copy_entries.path_of, copy_entries.fail, copy_entries.fail_both
local fail_open = copy_entries.fail_open

local Work = {}
Work.__index = Work

---@async
local function copy_names(self, node, entries)
  local dirs, at = self.dirs, 1
  local from, to, code, refused = dirs:acquire(node.from, node.to)
  if not from then
    fail_open(self, node, to, code, refused)
  end
  while from do
    at = copy_entries.copy(self, node, from, to, entries, at)
    if at > #entries then
      dirs:release(node.from, node.to)
      break
    end
    from, to = dirs:again(node.from, node.to)
    if not from then
      fail_both(self, node, entries[at].name, "EMFILE: too many open files", "EMFILE")
    end
  end
  self:complete(node)
end

---Has entries copied by a task that comes to it.
function Work:add_names(node, entries)
  node.pending = node.pending + 1
  self.workers:add(copy_names, self, node, entries)
end

---Copies entries in directories that are open, or has another task do so.
---@async
local function dispatch(self, node, entries, from, to)
  local at = 1
  if self.workers:queued() > QUEUED_MAX then
    at = copy_entries.copy(self, node, from, to, entries, 1)
  end
  if at <= #entries then
    self:add_names(node, at == 1 and entries or { unpack(entries, at) })
  end
end

-- ---- directories -------------------------------------------------------------------------------

---The owner's bits that the directory has only to be filled are taken off again.
---@async
local function restrict(to, extra)
  local mode, message, code = meta.fstat(to, "mode")
  if mode then
    mode, message, code = checked(core.fchmod(to, band(mode, PERM_BITS, bnot(extra))))
  end
  return mode, message, code
end

---@async
local function keep(self, to, from, stat)
  return checked(core.keep(to, from, self.keep, band(stat.mode, PERM_BITS), stat.uid, stat.gid,
    stat.atime, stat.atime_nsec, stat.mtime, stat.mtime_nsec))
end

---Gives a directory that has been filled what it keeps.
---@async
local function finish_dir(self, node)
  local stat = node.stat
  local extra = node.made and not self.private_dirs and band(bnot(stat.mode), OWNER_BITS) or 0
  if self.keep == 0 and extra == 0 then
    return
  end
  local xattrs = band(self.keep, copy_flags.xattrs) ~= 0 and node.from or nil
  local to, from, code, refused = self.dirs:acquire(node.to, xattrs)
  if not to and refused == xattrs then -- the original is gone by now
    xattrs = nil
    to, from, code = self.dirs:acquire(node.to)
  end
  if not to then
    return fail(self, from, code, path_of(node.to))
  end
  local ok, message = true, nil
  if extra ~= 0 then
    ok, message, code = restrict(to, extra)
  end
  if ok and self.keep ~= 0 then
    ok, message, code = keep(self, to, from, stat)
  end
  if not ok then
    fail(self, message, code, path_of(node.to))
  end
  self.dirs:release(node.to, xattrs)
end

---One thing in a directory is done; after the last one the directory is too, and so on upwards.
---@async
function Work:complete(node)
  node.pending = node.pending - 1
  while node and node.pending == 0 do
    if node.exists then
      finish_dir(self, node)
    end
    self.dirs:close(node.from)
    self.dirs:close(node.to)
    node = node.parent
    if node then
      node.pending = node.pending - 1
    end
  end
end

---Whether the user wants an entry.
---@async
local function is_wanted(self, node, entry)
  node.prefix = node.prefix or paths.prefix(path_of(node.from))
  local path = node.prefix .. entry.name
  local shown = { name = entry.name, type = entry.type, path = path, depth = node.depth }
  return dir_cache.call_user(self.filter, path, shown)
end

---Goes through a directory that is open.
---@async
local function scan(self, node, from, to)
  local batch, filter = {}, self.filter
  local entries, message, code = checked(core.getdents(from))
  while entries and #entries > 0 do
    for i = 1, #entries do
      local entry = entries[i]
      local wanted = not filter or is_wanted(self, node, entry)
      if wanted and entry.type == "dir" then
        self:add_dir(node, entry)
      elseif wanted then
        batch[#batch + 1] = entry
      end
      if #batch == NAMES_MAX then
        dispatch(self, node, batch, from, to)
        batch = {}
      end
    end
    entries, message, code = checked(core.getdents(from))
  end
  if #batch > 0 then
    dispatch(self, node, batch, from, to)
  end
  if not entries and code ~= "ENOENT" then -- that one was removed meanwhile
    fail(self, message, code, path_of(node.from))
  end
end

---@async
local function fill_dir(self, node)
  local from, to, code, refused = self.dirs:acquire(node.from, node.to)
  if not from then
    return fail_open(self, node, to, code, refused)
  end
  local id, message
  id, message, code = meta.fstat(to, "id")
  if id then
    node.to.id = id
    scan(self, node, from, to)
  else
    fail(self, message, code, path_of(node.to))
  end
  self.dirs:release(node.from, node.to)
end

---Whether a directory is one of those it lies in.
local function is_loop(node)
  local above = node.parent
  while above and above.stat.id ~= node.stat.id do
    above = above.parent
  end
  return above
end

---The permissions that a directory is made with.
local function first_bits(self, mode)
  return self.private_dirs and OWNER_BITS or bor(band(mode, SAFE_BITS), OWNER_BITS)
end

---@async
local function make_dir(self, node, up, bits)
  local name = node.to.name
  local ok, message, code = checked(core.mkdir(up, name, bits))
  node.made = ok
  if not ok and code == "EEXIST" and self.merge then
    ok = stat_of.ask(core.lstat, "lstat", name, up, "type") == "dir"
  end
  if not ok then
    fail(self, message, code, path_of(node.to))
  end
  return ok
end

---Looks at a directory that is open, and makes its copy.
---@async
local function begin_dir(self, node, from, up)
  local stat, message, code = meta.fstat(from)
  if not stat then
    return fail(self, message, code, path_of(node.from))
  end
  node.stat, node.from.id = stat, stat.id
  if stat.id == self.root_id then
    return fail_both(self, node, nil, "EINVAL: a directory cannot be copied into itself", "EINVAL")
  elseif self.follow and is_loop(node) then
    return fail(self, "ELOOP: too many levels of symbolic links", "ELOOP", path_of(node.from))
  end
  node.exists = make_dir(self, node, up, first_bits(self, stat.mode))
  return node.exists
end

---One that must not be read has an empty copy.
---@async
local function make_empty(self, node)
  local parent = node.parent
  local from, up = self.dirs:acquire(parent.from, parent.to)
  if from then
    local mode = stat_of.ask(core.lstat, "lstat", node.from.name, from, "mode")
    if mode then
      make_dir(self, node, up, band(mode, self.private_dirs and OWNER_BITS or SAFE_BITS))
    end
    self.dirs:release(parent.from, parent.to)
  end
end

---What cannot be opened as a directory is none by now, or gone.
---@async
local function give_up_dir(self, node, message, code, refused)
  local entry = node.entry
  local is_other = (code == "ENOTDIR" or code == "ELOOP") and refused == node.from
  if is_other and (entry.tries or 0) < TRIES_MAX then
    entry.tries, entry.type = (entry.tries or 0) + 1, "unknown"
    return self:add_names(node.parent, { entry })
  end
  fail_open(self, node, message, code, refused)
  if code == "EACCES" and refused == node.from then
    make_empty(self, node)
  end
end

---@async
local function copy_dir(self, node)
  local above = node.parent.to
  local from, up, code, refused = self.dirs:acquire(node.from, above)
  if not from then
    give_up_dir(self, node, up, code, refused)
  else
    local ok = begin_dir(self, node, from, up)
    self.dirs:release(node.from, above)
    if ok then
      fill_dir(self, node)
    end
  end
  self:complete(node)
end

function Work:add_dir(parent, entry)
  local name = entry.name
  local from = { parent = parent.from, name = name, users = 0, follow = entry.followed }
  if entry.followed and self.base then
    from.base, from.path = self.base, path_of(parent.from, name)
  end
  local node = {
    parent = parent,
    entry = entry,
    from = from,
    to = { parent = parent.to, name = name, users = 0 },
    depth = parent.depth + 1,
    pending = 1,
  }
  parent.pending = parent.pending + 1
  self.workers:add(copy_dir, self, node)
end

-- ---- the root ----------------------------------------------------------------------------------

---Makes the copy's root, by a path that may lead through a symbolic link to one that is there. A
---move that is cancelled removes it, and so has to know whether it is there: to.made says that.
---@async
local function open_root(self, to, mode)
  local base, path, file = to.base, to.path, nil
  local made, message, code = checked(core.mkdir_undone(base, path, first_bits(self, mode)))
  to.made = made
  if made then
    file, message, code = dir_cache.pin(core.open, base, path, LISTABLE + flags.NOFOLLOW)
  elseif code == "EEXIST" and self.merge then
    file, message, code = dir_cache.pin(core.open, base, path, LISTABLE)
    if code == "ENOTDIR" then
      message, code = "EEXIST: file exists", "EEXIST"
    end
  end
  if not file then
    return fail(self, message, code, to.text)
  end
  return core.as_base(file)
end

---@async
local function copy_root(self, node)
  fill_dir(self, node)
  self:complete(node)
end

---@async
local function copy_opened(self, from, to, file, stat)
  local root = {
    from = { name = from.text, users = 1, file = core.as_base(from.file) },
    to = { name = to.text, users = 1, file = file },
    depth = 1,
    pending = 1,
    stat = stat,
    made = to.made,
    exists = true,
  }
  local id, message, code = meta.fstat(file, "id")
  self.root_id, root.to.id = id, id
  if not id then
    return fail(self, message, code, path_of(root.to))
  elseif id == stat.id then
    return fail_both(self, root, nil, "EINVAL: a directory cannot be copied into itself", "EINVAL")
  end
  workers.run(self.workers, copy_root, self, root)
end

local copytree = {}

---What holds the open directories of a copy: new_room():begin() comes before anything is opened.
---@return halo.fs.DirCache
function copytree.new_room()
  return dir_cache.new { pins = PINS, each = SLOT }
end

---The flags for core.copyfile that options stand for, of what is always made anew.
---@param options { reflink: boolean?, mode: boolean?, times: boolean?, owner: boolean?,
---xattrs: boolean? }
---@return integer flags
---@return integer keep those that say what is kept
function copytree.flags(options)
  local kept = 0
  for _, name in ipairs { "mode", "times", "owner", "xattrs" } do
    kept = kept + (options[name] and copy_flags[name] or 0)
  end
  if options.owner and not options.mode then
    kept = kept + copy_flags.mode
  end
  local how = options.reflink and copy_flags.reflink
    or options.reflink == false and copy_flags.no_link or 0
  return kept + how + copy_flags.exclusive + copy_flags.no_follow + copy_flags.any, kept
end

---Copies what is in an open directory, goes on after a failure, and returns the first one.
---@async
---@param room halo.fs.DirCache
---@param from { file: halo.File, text: string } the original, and its path in messages
---@param to { base: halo.File, path: string, text: string, made: boolean? } where its copy is; made
---is set once there is a directory that this has made
---@param options table reflink, mode, times, owner, xattrs, merge, filter, follow, base
---@return true?
---@return string? message
---@return string? code
function copytree.copy(room, from, to, options)
  local self = setmetatable({
    dirs = room,
    workers = workers.new(),
    linked = {},
    merge = options.merge,
    filter = options.filter,
    follow = options.follow,
    base = options.base,
  }, Work)
  self.flags, self.keep = copytree.flags(options)
  self.private_dirs = self.keep - band(self.keep, copy_flags.times) ~= 0
  local stat, message, code = meta.fstat(from.file)
  if not stat then
    return nil, message, code
  end
  local file = open_root(self, to, stat.mode)
  if file then
    local ok, err = guard(copy_opened, self, from, to, file, stat)
    pcall(core.close, file)
    if not ok then
      error(err, 0)
    end
  end
  if self.failure then
    return nil, self.failure[1], self.failure[2]
  end
  return true
end

return copytree
