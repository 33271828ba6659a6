-- Removing trees, directory by directory and many names at a time.

local by_path = require "halo.fs.by_path"
local check = require "halo.fs.check"
local core = require "halo.core"
local dir_cache = require "halo.fs.dir_cache"
local errors = require "halo.fs.errors"
local paths = require "halo.fs.paths"
local wait = require "halo.wait"
local workers = require "halo.fs.workers"

local checked, guard = wait.checked, wait.guard

local flags = core.flags

local NAMES_MAX = 32 -- removed one after the other by one task
local QUEUED_MAX = 256 -- jobs; a worker that finds more removes them itself
local TRIES_MAX = 8 -- for a directory that others change meanwhile

local OWNER_BITS = tonumber("700", 8)

---@class halo.fs
local fs = {}

---@class halo.fs.Removal
---@field workers halo.fs.Workers
---@field dirs halo.fs.DirCache
---@field top halo.fs.Node the directory that holds the root
---@field unlock boolean? permissions are changed where they are in the way: it is halo's own copy
---@field failure { [1]: string, [2]: string }? message and code of the first one

---A directory to be removed. It is pending as long as anything in it is.
local function new_node(parent, name)
  return { parent = parent, name = name, users = 0, pending = 1, tries = 0, failed = false }
end

---The path of a name in a directory; the top's own name ends in a slash, or is empty.
local function path_of(node, name)
  local names = { name }
  while node.parent do
    table.insert(names, 1, node.name)
    node = node.parent
  end
  return node.name .. table.concat(names, "/")
end

---Remembers a failure, its message about the whole path instead of the name.
local function fail(self, node, name, message, code)
  node.failed = true
  if not self.failure then
    local text = message:match "^%w+: [^:]*" or message -- it may name a directory on the way
    self.failure = { text .. ": " .. path_of(node, name), code }
  end
end

---The same of a directory itself.
local function fail_dir(self, node, message, code)
  node.failed = true
  fail(self, node.parent, node.name, message, code)
end

local function is_gone(code)
  return code == "ENOENT" or code == "ENOTDIR"
end

local scan, complete

---Adds a directory found in a directory to what is to be removed.
local function add_dir(self, node, name)
  node.pending = node.pending + 1
  self.workers:add(scan, self, new_node(node, name))
end

---Removes what is no directory.
---@async
local function remove_name(self, node, file, name)
  local ok, message, code = checked(core.remove(file, name))
  if ok or code == "ENOENT" then
    return
  elseif code == "EISDIR" and node.tries < TRIES_MAX then
    node.tries = node.tries + 1
    return add_dir(self, node, name)
  end
  fail(self, node, name, message, code)
end

---@async
local function remove_batch(self, node, file, names)
  for i = 1, #names do
    remove_name(self, node, file, names[i])
  end
end

---@async
local function remove_names(self, node, names)
  local file, message, code = self.dirs:acquire(node)
  if file then
    remove_batch(self, node, file, names)
    self.dirs:release(node)
  elseif not is_gone(code) then
    fail_dir(self, node, message, code)
  end
  complete(self, node)
end

---Removes names in a directory that is open, or lets another task do so.
---@async
local function dispatch(self, node, file, names)
  if self.workers:queued() > QUEUED_MAX then
    return remove_batch(self, node, file, names)
  end
  node.pending = node.pending + 1
  self.workers:add(remove_names, self, node, names)
end

---Goes through a directory that is open. Names are removed by the batch, so that no directory is
---in memory as a whole.
---@async
local function scan_file(self, node, file)
  local names = {}
  local entries, message, code = checked(core.getdents(file))
  while entries and #entries > 0 do
    for i = 1, #entries do
      local entry = entries[i]
      if entry.type == "dir" then
        add_dir(self, node, entry.name)
      else
        names[#names + 1] = entry.name
        if #names == NAMES_MAX then
          dispatch(self, node, file, names)
          names = {}
        end
      end
    end
    entries, message, code = checked(core.getdents(file))
  end
  remove_batch(self, node, file, names)
  if code == "ENOENT" then -- somebody else has removed the directory
    return true
  end
  return checked(entries, message, code)
end

---What cannot be opened as a directory may be an empty one that forbids it, or by now none.
---@async
local function remove_unopened(self, node, message, code)
  local parent, name = node.parent, node.name
  local file = self.dirs:acquire(parent)
  if not file or code == "ENOENT" and parent ~= self.top then
    node.gone = true
  elseif code == "ENOTDIR" and parent ~= self.top then
    remove_name(self, parent, file, name)
    node.gone = true
  elseif checked(core.rmdir(file, name)) then
    node.gone = true
  else
    fail_dir(self, node, message, code)
  end
  if file then
    self.dirs:release(parent)
  end
end

---@async
function scan(self, node)
  local file, message, code = self.dirs:acquire(node)
  if not file then
    remove_unopened(self, node, message, code)
    return complete(self, node)
  end
  if self.unlock then
    checked(core.fchmod(file, OWNER_BITS))
  end
  local ok
  ok, message, code = scan_file(self, node, file)
  self.dirs:release(node)
  if not ok then
    fail_dir(self, node, message, code)
  end
  complete(self, node)
end

---Removes a directory that should be empty now. Returns false where others have filled it anew.
---@async
local function remove_emptied(self, node)
  local parent, name = node.parent, node.name
  local ok
  local file, message, code = self.dirs:acquire(parent)
  if file then
    ok, message, code = checked(core.rmdir(file, name))
    if code == "ENOTDIR" then
      remove_name(self, parent, file, name)
    end
    self.dirs:release(parent)
  end
  if code == "ENOTEMPTY" and node.tries < TRIES_MAX then
    return false
  elseif not ok and not is_gone(code) then
    fail(self, parent, name, message, code)
  end
  return true
end

---One thing in the directory is done; after the last one the directory is too, and so on upwards.
---@async
function complete(self, node)
  node.pending = node.pending - 1
  while node.pending == 0 do
    self.dirs:close(node)
    if node.failed then
      node.parent.failed = true
    elseif not node.gone and not remove_emptied(self, node) then
      node.pending, node.tries = 1, node.tries + 1
      return self.workers:add(scan, self, node)
    end
    node = node.parent
    node.pending = node.pending - 1
  end
end

---@async
local function remove_below(self, name)
  workers.run(self.workers, scan, self, new_node(self.top, name))
end

---Removes a directory, by its name in one that is open.
---@async
---@param holder halo.File
---@param name string
---@param options { dirs: halo.fs.DirCache, prefix: string?, unlock: boolean? } what it may open;
---what stands before the name in messages; whether permissions may be changed that are in the way
---@return true?
---@return string? message
---@return string? code
local function remove_tree(holder, name, options)
  local self = {
    workers = workers.new(),
    dirs = options.dirs,
    top = { name = options.prefix or "", users = 1, pending = 2, tries = 0, file = holder },
    unlock = options.unlock,
  }
  self.dirs:reset()
  local ok, err = guard(remove_below, self, name)
  self.dirs:reset()
  if not ok then
    error(err, 0)
  elseif self.failure then
    return nil, self.failure[1], self.failure[2]
  end
  return true
end

---Removes what has a name in a directory that is open, whatever it is. Others may give the name to
---a directory or to something else meanwhile.
---@async
local function remove_all(holder, name, options)
  local ok, message, code
  for _ = 1, TRIES_MAX do
    ok, message, code = checked(core.remove(holder, name))
    if ok or code ~= "EISDIR" then
      return ok, message and errors.with_path(message, name, (options.prefix or "") .. name), code
    end
    ok, message, code = remove_tree(holder, name, options)
    if ok or code ~= "ENOTDIR" then
      break
    end
  end
  return ok, message, code
end

---@async
local function open_and_call(dirs, base, path, fn)
  local prefix, name = paths.split(path)
  local open = prefix == "" and "." or prefix
  dirs:begin()
  local holder, message, code = dir_cache.pin(core.open, base, open, flags.PATH + flags.DIRECTORY)
  if not holder then
    return nil, errors.with_path(message, open, path), code
  end
  local ok, done
  ok, done, message, code = guard(fn, core.as_base(holder), name, { dirs = dirs, prefix = prefix })
  pcall(core.close, holder) -- it raises in a task that was cancelled, once it has closed
  if not ok then
    error(done, 0)
  end
  return checked(done, message, code)
end

---Calls fn(holder, name, options) for the directory that holds what a path leads to.
---@async
local function in_holder(base, path, fn)
  local _, name = paths.split(path)
  if name == "." or name == ".." or name ~= path and name == "" then
    return errors.refuse("EINVAL", "invalid argument", path)
  end
  local dirs = dir_cache.new()
  local ok, done, message, code = guard(open_and_call, dirs, base, path, fn)
  dirs:close_all()
  if not ok then
    error(done, 0)
  end
  return checked(done, message, code)
end

---As fs.rmtree, with the directory in which the path begins before it.
---@async
function by_path.rmtree(base, path, options)
  check.path(path, 1, "rmtree")
  options = check.options(options, 2, "rmtree", { force = true })
  local ok, message, code = in_holder(base, path, remove_tree)
  if code == "ENOENT" and options.force then
    return true
  end
  return checked(ok, message, code)
end

---Removes a directory with all that is in it. No symbolic link is followed in it, not even one
---that takes a directory's place meanwhile. After a failure the rest is removed all the same.
---@async
---@param path string of a directory; a symbolic link to one is refused (ENOTDIR)
---@param options { force: boolean? }? it is no failure that there is nothing
---@return true?
---@return string? message about the first failure
---@return string? code
function fs.rmtree(path, options, ...)
  check.no_more(3, "rmtree", ...)
  return by_path.rmtree(core.AT_FDCWD, path, options)
end

---Removes what a path leads to, whatever it is.
---@async
local function remove_any(base, path)
  return in_holder(base, path, remove_all)
end

return { rmtree = fs.rmtree, remove_all = remove_all, remove_any = remove_any }
