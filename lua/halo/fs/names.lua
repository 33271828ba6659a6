-- Calls on names and directories.

local check = require "halo.fs.check"
local core = require "halo.core"
local options = require "halo.fs.options"
local wait = require "halo.wait"

local checked = wait.checked
local sum_of = options.sum_of

---@class halo.fs
local fs = {}

local rename_flags = { noreplace = 1, exchange = 2 } -- RENAME_NOREPLACE, RENAME_EXCHANGE

---Renames; what has the new name already is replaced.
---@async
---@param from string
---@param to string
---@param opts { noreplace: boolean?, exchange: boolean? }? refuse to replace (EEXIST); or let the
---two change places
---@return true?
---@return string? message
---@return string? code
function fs.rename(from, to, opts)
  opts = check.options(opts, 3, "rename", rename_flags)
  return checked(core.rename(from, to, sum_of(opts, rename_flags)))
end

---Removes a file (not a directory: see fs.rmdir).
---@async
---@param path string
---@return true?
---@return string? message
---@return string? code
function fs.remove(path)
  return checked(core.remove(path))
end

---Makes a directory.
---@async
---@param path string
---@param perm integer? permission bits, less the umask; 0777 (octal) by default
---@return true?
---@return string? message
---@return string? code
function fs.mkdir(path, perm)
  return checked(core.mkdir(path, perm))
end

---Removes an empty directory.
---@async
---@param path string
---@return true?
---@return string? message
---@return string? code
function fs.rmdir(path)
  return checked(core.rmdir(path))
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
  return checked(core.readdir(path))
end

---Gives a file another name: a hard link.
---@async
---@param path string
---@param new string
---@return true?
---@return string? message
---@return string? code
function fs.link(path, new)
  return checked(core.link(path, new))
end

---Makes a symbolic link.
---@async
---@param target string what it says
---@param path string its name
---@return true?
---@return string? message
---@return string? code
function fs.symlink(target, path)
  return checked(core.symlink(target, path))
end

---What a symbolic link says.
---@async
---@param path string
---@return string? target
---@return string? message
---@return string? code
function fs.readlink(path)
  return checked(core.readlink(path))
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
---@param perm integer? 0644 (octal) by default, less the umask
---@return true?
---@return string? message
---@return string? code
function fs.mkfifo(path, perm)
  return checked(core.mkfifo(path, perm))
end

---Makes a device, or another node.
---@async
---@param path string
---@param kind "file"|"fifo"|"socket"|"char"|"block"
---@param perm integer? 0644 (octal) by default, less the umask
---@param major integer?
---@param minor integer?
---@return true?
---@return string? message
---@return string? code
function fs.mknod(path, kind, perm, major, minor)
  return checked(core.mknod(path, kind, perm, major, minor))
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
