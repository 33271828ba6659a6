-- Calls on names and directories.

local by_path = require "halo.fs.by_path"
local check = require "halo.fs.check"
local core = require "halo.core"
local meta = require "halo.fs.meta"
local paths = require "halo.fs.paths"
local perms = require "halo.fs.perm"
local checked = require("halo.wait").checked

local AT_FDCWD = core.AT_FDCWD
local mkdir_options = { parents = true, perm = true }

---@class halo.fs
local fs = {}

---Renames; what has the new name already is replaced.
---@async
---@param from string
---@param to string
---@param options { noreplace: boolean?, exchange: boolean? }? refuse to replace (EEXIST), or let
---the two change places
---@return true?
---@return string? message
---@return string? code
function fs.rename(from, to, options)
  return by_path.rename(AT_FDCWD, from, to, options)
end

---Removes a file (not a directory: see fs.rmdir).
---@async
---@param path string
---@return true?
---@return string? message
---@return string? code
function fs.remove(path)
  return by_path.remove(AT_FDCWD, path)
end

---Makes one directory, or finds that it is there.
---@async
local function ensure(path, perm)
  local ok, message, code = by_path.mkdir(AT_FDCWD, path, perm)
  if not ok and code == "EEXIST" and meta.stat(path, "is_dir") then
    return true
  end
  return checked(ok, message, code)
end

---@async
local function make_with_parents(path, perm)
  local missing, at = {}, path
  local ok, message, code = ensure(at, perm)
  while not ok and code == "ENOENT" and paths.parent(at) do
    missing[#missing + 1] = at
    at = paths.parent(at)
    ok, message, code = ensure(at)
  end
  for i = #missing, 1, -1 do
    if not ok then
      return nil, message, code
    end
    ok, message, code = ensure(missing[i], i == 1 and perm or nil)
  end
  return checked(ok, message, code)
end

---@class halo.MkdirOptions
---@field parents boolean? make those above it too
---@field perm halo.Perm? of the directory itself; the others get "777" less the umask

---Makes a directory. With parents, those above it too where they are missing, and it is no failure
---that it is there already.
---@async
---@param path string
---@param perm (halo.Perm|halo.MkdirOptions)? less the umask; "777" by default
---@return true?
---@return string? message
---@return string? code
function fs.mkdir(path, perm)
  if type(perm) ~= "table" then
    return by_path.mkdir(AT_FDCWD, path, perm)
  end
  check.options(perm, 2, "mkdir", mkdir_options)
  local bits = perms.of_new(perm.perm, perms.DIR, 2, "mkdir")
  if not perm.parents then
    return by_path.mkdir(AT_FDCWD, path, bits)
  end
  return make_with_parents(check.path(path, 1, "mkdir"), bits)
end

---Removes an empty directory.
---@async
---@param path string
---@return true?
---@return string? message
---@return string? code
function fs.rmdir(path)
  return by_path.rmdir(AT_FDCWD, path)
end

---@class halo.Entry
---@field name string
---@field type "file"|"dir"|"symlink"|"fifo"|"socket"|"char"|"block"|"unknown"

---The entries of a directory without "." and "..", in the file system's order.
---@async
---@param path string
---@return halo.Entry[]? entries
---@return string? message
---@return string? code
function fs.readdir(path)
  return by_path.readdir(AT_FDCWD, path)
end

---Gives a file another name: a hard link.
---@async
---@param path string
---@param new string
---@return true?
---@return string? message
---@return string? code
function fs.link(path, new)
  return by_path.link(AT_FDCWD, path, new)
end

---Makes a symbolic link.
---@async
---@param target string what it says
---@param path string its name
---@return true?
---@return string? message
---@return string? code
function fs.symlink(target, path)
  return by_path.symlink(AT_FDCWD, target, path)
end

---What a symbolic link says.
---@async
---@param path string
---@return string? target
---@return string? message
---@return string? code
function fs.readlink(path)
  return by_path.readlink(AT_FDCWD, path)
end

---The absolute path without symbolic links, "." and "..".
---@async
---@param path string
---@return string? path
---@return string? message
---@return string? code
function fs.realpath(path)
  return checked(core.realpath(path))
end

---Makes a FIFO.
---@async
---@param path string
---@param perm halo.Perm? "644" by default, less the umask
---@return true?
---@return string? message
---@return string? code
function fs.mkfifo(path, perm)
  return by_path.mkfifo(AT_FDCWD, path, perm)
end

---Makes a device, or another node.
---@async
---@param path string
---@param kind "file"|"fifo"|"socket"|"char"|"block"
---@param perm halo.Perm? "644" by default, less the umask
---@param major integer?
---@param minor integer?
---@return true?
---@return string? message
---@return string? code
function fs.mknod(path, kind, perm, major, minor)
  return by_path.mknod(AT_FDCWD, path, kind, perm, major, minor)
end

---The working directory.
---@return string? path
---@return string? message
---@return string? code
function fs.cwd()
  return core.cwd()
end

---Changes the working directory of the process. It is refused (EBUSY) while operations are under
---way: the kernel looks relative paths up late, and they would lead elsewhere.
---@param path string
---@return true?
---@return string? message
---@return string? code
function fs.chdir(path)
  return core.chdir(path)
end

return fs
