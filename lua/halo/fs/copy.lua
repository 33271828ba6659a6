-- Copying and moving, of files and of whole trees.

local by_path = require "halo.fs.by_path"
local calls = require "halo.fs.calls"
local check = require "halo.fs.check"
local copy_all = require "halo.fs.copytree"
local core = require "halo.core"
local errors = require "halo.fs.errors"
local guard = require("halo.wait").guard
local paths = require "halo.fs.paths"
local rmtree = require("halo.fs.rmtree").rmtree
local scope = require "halo.scope"

local tree_options = { merge = true, reflink = true, mode = true, times = true }
local move_options = { noreplace = true }
local RANDOM_LETTERS = 12

---@class halo.fs
local fs = {}

---@class halo.CopyOptions
---@field exclusive boolean? the new name must not exist (EEXIST)
---@field reflink boolean? true: share the data on the disk, or fail; false: never share them
---@field mode boolean? keep all permission bits; without, those that the umask leaves
---@field times boolean? keep the times of access and modification

---Copies a file. Holes stay holes, and where the file system can it shares the data between the
---two. A file that has the new name already gets the content and keeps its permission bits.
---@async
---@param from string a symbolic link is followed
---@param to string the file's new name
---@param options halo.CopyOptions?
---@return integer? bytes of the file
---@return string? message
---@return string? code
function fs.copy(from, to, options)
  return by_path.copy(core.AT_FDCWD, from, to, options)
end

-- ---- trees -------------------------------------------------------------------------------------

---How each file of a tree is copied: always to a new name, and as a file.
local function file_flags(options)
  return check.bits({
    exclusive = true,
    no_follow = true,
    reflink = options.reflink,
    no_link = options.reflink == false,
    mode = options.mode,
    times = options.times,
  }, core.copy_flags)
end

---The real path of what is there, or will be.
---@async
local function real(path)
  local there = calls.realpath(path)
  if there then
    return there
  end
  local prefix, name = paths.split(path)
  local above = calls.realpath(prefix == "" and "." or prefix)
  return above and (above == "/" and "" or above) .. "/" .. name
end

---@async
local function is_inside(path, dir)
  local inner, outer = real(path), calls.realpath(dir)
  if not inner or not outer then
    return false
  end
  return outer == "/" or inner == outer or inner:sub(1, #outer + 1) == outer .. "/"
end

---@async
local function copy_tree(from, to, stat, options)
  if is_inside(to, from) then
    return errors.refuse("EINVAL", "a directory cannot be copied into itself", from .. " -> " .. to)
  end
  return copy_all(from, to, stat, options)
end

---@class halo.CopytreeOptions
---@field merge boolean? into directories that exist, replacing what else has a name of the copy
---@field reflink boolean? true: share the data on the disk, or fail; false: never share them
---@field mode boolean? keep all permission bits; without, those that the umask leaves
---@field times boolean? keep the times of access and modification

---Copies a directory with all that is in it: files, directories, symbolic links as such, FIFOs,
---sockets and devices. Names of one file become names of one copy. What vanishes meanwhile is left
---out. After a failure the rest is copied all the same.
---@async
---@param from string of a directory
---@param to string the new directory's name; it must not exist (EEXIST), unless options say merge
---@param options halo.CopytreeOptions?
---@return true?
---@return string? message about the first failure
---@return string? code
function fs.copytree(from, to, options)
  check.path(from, 1, "copytree")
  check.path(to, 2, "copytree")
  options = check.options(options, 3, "copytree", tree_options)
  local stat, message, code = calls.stat(from)
  if not stat then
    return nil, message, code
  elseif not stat.is_dir then
    return errors.refuse("ENOTDIR", "not a directory", from)
  end
  return copy_tree(from, to, stat, {
    flags = file_flags(options),
    mode = options.mode,
    times = options.times,
    merge = options.merge,
  })
end

-- ---- moving ------------------------------------------------------------------------------------

local KEEP_ALL = {
  flags = file_flags { times = true },
  times = true,
  owner = true,
  xattrs = true,
}

---@async
local function remove_all(path, stat)
  if stat.is_dir then
    return rmtree(path)
  end
  return calls.remove(path)
end

---Copies to a name of its own beside the new one, which then replaces that as any rename does.
---@async
local function copy_beside(from, to, stat, options, beside)
  local copy = stat.is_dir and copy_tree or copy_all
  local ok, message, code = copy(from, beside, stat, KEEP_ALL)
  if not ok then
    return nil, errors.with_root(message, beside, to), code
  end
  ok, message, code = calls.rename(beside, to, options)
  if not ok then
    return nil, errors.with_path(message, beside .. " -> " .. to, from .. " -> " .. to), code
  end
  return true
end

---@async
local function move_across(from, to, options)
  local stat, message, code = calls.lstat(from)
  if not stat then
    return nil, message, code
  elseif options.noreplace and calls.lstat(to, "ino") then
    return errors.refuse("EEXIST", "file exists", from .. " -> " .. to)
  end
  local name
  name, message, code = core.random_name(RANDOM_LETTERS)
  if not name then
    return nil, message, code
  end
  local beside = paths.split(to) .. ".halo-" .. name
  local returned, ok
  returned, ok, message, code = guard(copy_beside, from, to, stat, options, beside)
  if not returned or not ok then
    scope.shield(remove_all, beside, stat)
  end
  if not returned then
    error(ok, 0)
  elseif not ok then
    return nil, message, code
  end
  return remove_all(from, stat)
end

---Moves a file or a directory with all that is in it: by renaming or, to another file system, by
---copying and removing. What has the new name already is replaced, as by fs.rename. The new name
---shows only what has been copied as a whole, and nothing is removed before; a copy keeps modes and
---times and, as far as that is permitted, owners and extended attributes.
---@async
---@param from string a symbolic link is moved itself
---@param to string the new name
---@param options { noreplace: boolean? }? refuse to replace (EEXIST)
---@return true?
---@return string? message
---@return string? code
function fs.move(from, to, options)
  check.path(from, 1, "move")
  check.path(to, 2, "move")
  options = { noreplace = check.options(options, 3, "move", move_options).noreplace }
  local ok, message, code = calls.rename(from, to, options)
  if code == "EXDEV" then
    return move_across(from, to, options)
  elseif not ok then
    return nil, message, code
  end
  return true
end

return fs
