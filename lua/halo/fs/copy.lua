-- Copying and moving, of files and of whole trees.

local by_path = require "halo.fs.by_path"
local check = require "halo.fs.check"
local copytree = require "halo.fs.copytree"
local core = require "halo.core"
local dir_cache = require "halo.fs.dir_cache"
local errors = require "halo.fs.errors"
local meta = require "halo.fs.meta"
local paths = require "halo.fs.paths"
local removal = require "halo.fs.rmtree"
local scope = require "halo.scope"
local stat_of = require "halo.fs.stat"
local wait = require "halo.wait"

local checked, guard = wait.checked, wait.guard
local AT_FDCWD, flags = core.AT_FDCWD, core.flags

local tree_options = {
  merge = true, reflink = true, mode = true, times = true, owner = true, xattrs = true,
  filter = "any", follow = true,
}
local move_options = { noreplace = true }
local KEEP_ALL = { mode = true, times = true, owner = true, xattrs = true }
local RANDOM_LETTERS = 12
local LISTABLE, PLACE = flags.RDONLY + flags.DIRECTORY, flags.PATH + flags.DIRECTORY

---@class halo.fs
local fs = {}

---@class halo.CopyOptions
---@field exclusive boolean? the new name must not exist (EEXIST)
---@field reflink boolean? true: share the data on the disk, or fail; false: never share them
---@field mode boolean? keep all permission bits; without, those that the umask leaves
---@field times boolean? keep the times of access and modification
---@field owner boolean? keep the owner and the group, as far as that is permitted
---@field xattrs boolean? keep extended attributes and ACLs, as far as the file system has them

---Copies a file. Holes stay holes, and where the file system can it shares the data between the
---two. A file that has the new name already gets the content and keeps its permission bits. What a
---copy that fails has made is taken away.
---@async
---@param from string a symbolic link is followed
---@param to string the file's new name
---@param options halo.CopyOptions?
---@return integer? bytes of the file
---@return string? message
---@return string? code
function fs.copy(from, to, options, ...)
  check.no_more(4, "copy", ...)
  return by_path.copy(AT_FDCWD, from, to, options)
end

-- ---- trees -------------------------------------------------------------------------------------

---Calls fn(room, ...) and closes what the room holds, however that ends.
---@async
local function with_room(fn, ...)
  local room = copytree.new_room()
  local function back(ok, ...)
    room:close_all()
    if not ok then
      error((...), 0)
    end
    return ...
  end
  room:begin()
  return back(guard(fn, room, ...))
end

---Calls fn(file, ...) and closes the file. In a task that was cancelled that raises, having closed.
---@async
local function with_file(file, fn, ...)
  local function back(ok, ...)
    pcall(core.close, file)
    if not ok then
      error((...), 0)
    end
    return ...
  end
  return back(guard(fn, file, ...))
end

local function inside(from, to)
  return errors.refuse("EINVAL", "a directory cannot be copied into itself", from .. " -> " .. to)
end

---Whether a directory is, or lies in, the one with that id. Its file is closed. With a base that
---confines, the way up goes from there, by the directory's path: a directory below would not let
---it go.
---@async
local function lies_in(file, id, base, path)
  while file do
    path = base and path .. "/.."
    local here, up = with_file(file, function()
      local here = meta.fstat(file, "id")
      return here, here ~= id and core.open(base or core.as_base(file), path or "..", PLACE)
    end)
    if here == id then
      return true
    end
    local above = up and meta.fstat(up, "id")
    if up and (not above or above == here) then
      with_file(up, function() end)
      return false
    end
    file = up
  end
  return false
end

---Whether a path is a name in a directory or below it.
---@async
local function is_inside(base, path, id)
  local prefix, name = paths.split(path)
  if name == "." or name == ".." then
    prefix = path
  end
  local open = prefix == "" and "." or prefix
  local holder = dir_cache.pin(core.open, base, open, PLACE)
  return lies_in(holder, id, core.confines(base) and base, open)
end

---@async
local function copy_opened(file, room, base, from, to, options)
  local id, message, code = meta.fstat(file, "id")
  if not id then
    return nil, message, code
  elseif is_inside(base, to, id) then
    return inside(from, to)
  end
  options.base = base ~= AT_FDCWD and base or nil
  return copytree.copy(room, { file = file, text = from }, { base = base, path = to, text = to },
    options)
end

---@async
local function copy_tree(room, base, from, to, options)
  local file, message, code = dir_cache.pin(core.open, base, from, LISTABLE)
  if not file then
    return nil, message, code
  end
  return with_file(file, copy_opened, room, base, from, to, options)
end

---As fs.copytree, with the directory in which paths begin before them.
---@async
function by_path.copytree(base, from, to, options)
  check.path(from, 1, "copytree")
  check.path(to, 2, "copytree")
  local chosen = {}
  for name, value in pairs(check.options(options, 3, "copytree", tree_options)) do
    chosen[name] = value
  end
  if chosen.filter ~= nil and type(chosen.filter) ~= "function" then
    check.fail("filter is a function", 3, "copytree")
  end
  return with_room(copy_tree, base, from, to, chosen)
end

---@class halo.CopytreeOptions
---@field merge boolean? into directories that exist, replacing what else has a name of the copy
---@field reflink boolean? true: share the data on the disk, or fail; false: never share them
---@field mode boolean? keep all permission bits; without, those that the umask leaves
---@field times boolean? keep the times of access and modification
---@field owner boolean? keep owners and groups, as far as that is permitted, and modes with them
---@field xattrs boolean? keep extended attributes and ACLs, as far as the file system has them
---@field filter (fun(path: string, entry: halo.WalkEntry): any)? true for what is to be copied; of
---a directory that is not, nothing is. Path and entry are those of fs.walk, of the original.
---@field follow boolean? what symbolic links lead to; a directory that it lies in itself is refused
---(ELOOP), and a link that leads nowhere stays one

---Copies a directory with all that is in it: files, directories, symbolic links as such, FIFOs,
---sockets and devices. Names of one file become names of one copy. What vanishes meanwhile is left
---out. After a failure the rest is copied all the same. Whoever changes names while it works cannot
---lead it elsewhere. What is given another mode or owner than a new file is for nobody else before.
---@async
---@param from string of a directory
---@param to string its new name
---@param options halo.CopytreeOptions?
---@return true?
---@return string? message about the first failure
---@return string? code
function fs.copytree(from, to, options, ...)
  check.no_more(4, "copytree", ...)
  return by_path.copytree(AT_FDCWD, from, to, options)
end

-- ---- moving ------------------------------------------------------------------------------------

local ALL_FLAGS = copytree.flags(KEEP_ALL)

---@class halo.fs.Move
---@field room halo.fs.DirCache
---@field from string
---@field to string
---@field options { noreplace: boolean? }
---@field from_dir halo.File the directory that holds the original
---@field to_dir halo.File
---@field from_name string
---@field to_name string
---@field beside string what the copy is called at first
---@field is_dir boolean?
---@field tree { made: boolean? }? the copy of a directory

---A refusal about names in directories, as one about the paths that the user knows.
local function refused(self, message, code)
  local text = message:match "^%w+: [^:]*" or message
  return nil, ("%s: %s -> %s"):format(text, self.from, self.to), code
end

---@async
local function copy_dir_beside(file, self)
  local id, message, code = meta.fstat(file, "id")
  if not id then
    return nil, message, code
  elseif lies_in(core.open(self.to_dir, ".", PLACE), id) then
    return inside(self.from, self.to)
  end
  self.tree = { base = self.to_dir, path = self.beside, text = self.to }
  return copytree.copy(self.room, { file = file, text = self.from }, self.tree, KEEP_ALL)
end

---Copies to a name of its own beside the new one, which then replaces that as any rename does.
---@async
local function copy_beside(self)
  local name = self.from_name
  local ok, message, code = dir_cache.pin(core.copyfile, self.from_dir, name, self.to_dir,
    self.beside, ALL_FLAGS)
  self.is_dir = code == "EISDIR"
  if self.is_dir then
    local file
    file, message, code = dir_cache.pin(core.open, self.from_dir, name, LISTABLE + flags.NOFOLLOW)
    if not file then
      return refused(self, message, code)
    end
    ok, message, code = with_file(file, copy_dir_beside, self)
    if not ok then
      return nil, message, code
    end
  elseif not ok then
    return refused(self, message, code)
  end
  ok, message, code = by_path.rename(self.to_dir, self.beside, self.to_name, self.options)
  if not ok then
    return refused(self, message, code)
  end
  return true
end

---A file is removed by one call, which after a cancellation nobody waits for: the file system may
---not answer. A tree takes many, each of which needs what the one before has answered.
---@async
local function remove_copy(self)
  if not self.is_dir then
    core.remove_leftover(self.to_dir, self.beside)
  elseif self.tree and self.tree.made then
    scope.shield(removal.remove_all, self.to_dir, self.beside,
      { dirs = self.room, unlock = true })
  end
end

---Copies, and takes away what of the copy is there where that fails or is cancelled.
---@async
local function copy_whole(self)
  local returned, ok, message, code = guard(copy_beside, self)
  if not returned or not ok then
    remove_copy(self)
  end
  if not returned then
    error(ok, 0)
  end
  return checked(ok, message, code)
end

local not_names = { [""] = true, ["."] = true, [".."] = true }

---What a rename refuses of the names alone, once it has not refused to go to another file system.
---@async
local function check_names(self)
  local code, text
  if not_names[self.from_name] or not_names[self.to_name] then
    code, text = "EBUSY", "device or resource busy"
  elseif self.from:sub(-1) == "/" or self.to:sub(-1) == "/" then
    local is_dir = stat_of.ask(core.lstat, "lstat", self.from_name, self.from_dir, "is_dir")
    if is_dir == false then
      code, text = "ENOTDIR", "not a directory"
    end
  end
  if code then
    return errors.refuse(code, text, self.from .. " -> " .. self.to)
  end
  return true
end

---@async
local function move_between(to_dir, from_dir, room, base, from, to, options)
  local self = { room = room, from = from, to = to, options = options }
  self.from_dir, self.to_dir = core.as_base(from_dir), core.as_base(to_dir)
  self.from_name, self.to_name = select(2, paths.split(from)), select(2, paths.split(to))
  local ok, message, code = check_names(self)
  if not ok then
    return nil, message, code
  end
  if options.noreplace and stat_of.ask(core.lstat, "lstat", to, base, "mode") then
    return errors.refuse("EEXIST", "file exists", from .. " -> " .. to)
  end
  local letters
  letters, message, code = core.random_name(RANDOM_LETTERS)
  if not letters then
    return nil, message, code
  end
  self.beside = ".halo-" .. letters
  local hold = core.hold(self.to_dir, self.beside)
  local returned
  returned, ok, message, code = guard(copy_whole, self)
  core.release(hold)
  if not returned then
    error(ok, 0)
  end
  if not ok then
    return nil, message, code
  end
  ok, message, code = removal.remove_all(self.from_dir, self.from_name,
    { dirs = room, prefix = (paths.split(from)) })
  if code == "ENOENT" then -- somebody else has removed it meanwhile
    return true
  end
  return checked(ok, message, code)
end

---@async
local function open_holder(base, path)
  local prefix = paths.split(path)
  local open = prefix == "" and "." or prefix
  local holder, message, code = dir_cache.pin(core.open, base, open, PLACE)
  if not holder then
    return nil, errors.with_path(message, open, path), code
  end
  return holder
end

---@async
local function move_across(room, base, from, to, options)
  local from_dir, message, code = open_holder(base, from)
  if not from_dir then
    return nil, message, code
  end
  return with_file(from_dir, function()
    local to_dir
    to_dir, message, code = open_holder(base, to)
    if not to_dir then
      return nil, message, code
    end
    return with_file(to_dir, move_between, from_dir, room, base, from, to, options)
  end)
end

---As fs.move, with the directory in which paths begin before them.
---@async
function by_path.move(base, from, to, options)
  check.path(from, 1, "move")
  check.path(to, 2, "move")
  options = { noreplace = check.options(options, 3, "move", move_options).noreplace }
  local ok, message, code = by_path.rename(base, from, to, options)
  if code == "EXDEV" then
    return with_room(move_across, base, from, to, options)
  elseif not ok then
    return nil, message, code
  end
  return true
end

---Moves a file or a directory with all that is in it: by renaming or, to another file system, by
---copying and removing. What has the new name already is replaced, as by fs.rename. The new name
---shows only what has been copied as a whole, and nothing is removed before; a copy keeps modes,
---times and, as far as that is permitted, owners, extended attributes and ACLs. Where it fails or
---is cancelled before that, all is as it was.
---@async
---@param from string a symbolic link is moved itself
---@param to string the new name
---@param options { noreplace: boolean? }? refuse to replace (EEXIST)
---@return true?
---@return string? message
---@return string? code
function fs.move(from, to, options, ...)
  check.no_more(4, "move", ...)
  return by_path.move(AT_FDCWD, from, to, options)
end

return fs
