-- Files and directories that exist only for a while, under names that nobody can guess.

local by_path = require "halo.fs.by_path"
local core = require "halo.core"
local calls = require "halo.fs.calls"
local check = require "halo.fs.check"
local checked = require("halo.wait").checked
local scope = require "halo.scope"

local TRIES = 100 -- for a name that is free; that many in vain are no accident
local LETTERS = 12 -- in a name, where the template does not say
local PRIVATE_FILE, PRIVATE_DIR = tonumber("600", 8), tonumber("700", 8)

local AT_FDCWD, flags = core.AT_FDCWD, core.flags

---@class halo.fs
local fs = {}

local function temp_dir()
  local path = core.getenv "TMPDIR"
  return path and path ~= "" and path or "/tmp"
end

---What stands before the random letters, and how many of those there are.
local function expand(base, template, name)
  template = check.path(template == nil and "halo-" or template, 1, name)
  local head, marks = template:match "^(.-)(X*)$"
  if #marks >= 6 then
    return head, #marks
  elseif template:find("/", 1, true) or base ~= AT_FDCWD then
    return template, LETTERS
  end
  return temp_dir() .. "/" .. template, LETTERS
end

---Calls make(base, path) with one random name after the other until one was free.
local function make_new(make, base, head, count)
  local made, message, code, path
  for _ = 1, TRIES do
    local letters
    letters, message, code = core.random_name(count)
    if not letters then
      return nil, message, code
    end
    path = head .. letters
    made, message, code = make(base, path)
    if code ~= "EEXIST" then
      break
    end
  end
  if not made then
    return nil, message, code
  end
  return made, path
end

local function make_file(base, path)
  return by_path.open(base, path, flags.RDWR + flags.CREAT + flags.EXCL, PRIVATE_FILE)
end

local function make_dir(base, path)
  return by_path.mkdir(base, path, PRIVATE_DIR)
end

function by_path.mkstemp(base, template)
  return make_new(make_file, base, expand(base, template, "mkstemp"))
end

function by_path.mkdtemp(base, template)
  local head, count = expand(base, template, "mkdtemp")
  local made, path, code = scope.shield(make_new, make_dir, base, head, count)
  if not made then
    return nil, path, code
  end
  return path
end

---Creates a file that only this user may read and write, open for both. It stays until it is
---removed. Where a cancellation is raised by this call, there is none.
---
---A template that ends in XXXXXX, or more of them, is a path whose X become random letters. Any
---other is what the path begins with, in $TMPDIR or /tmp where it names no directory; as a method
---of a Dir, there.
---@async
---@param template string? "halo-" by default
---@return halo.File? file
---@return string path or the message
---@return string? code
function fs.mkstemp(template, ...)
  check.no_more(2, "mkstemp", ...)
  return by_path.mkstemp(AT_FDCWD, template)
end

---Creates a directory that only this user may enter.
---@async
---@param template string? as for fs.mkstemp
---@return string? path
---@return string? message
---@return string? code
function fs.mkdtemp(template, ...)
  check.no_more(2, "mkdtemp", ...)
  return by_path.mkdtemp(AT_FDCWD, template)
end

---A message about a file whose name nobody knows, as one about its directory.
local function without_name(message)
  return (message:gsub("/%.halo%-[^/]*$", ""))
end

---Where the file system knows no files without a name: one whose name is removed at once.
local function make_unnamed(base, dir)
  local file, path, code = make_new(make_file, base, dir .. "/.halo-", LETTERS)
  if not file then
    return nil, without_name(path), code
  end
  local removed, message
  removed, message, code = by_path.remove(base, path)
  if not removed then
    calls.close(file)
    return nil, without_name(message), code
  end
  return file
end

local without_tmpfile = { EOPNOTSUPP = true, EISDIR = true, EINVAL = true }

function by_path.tempfile(base, dir)
  dir = dir == nil and (base == AT_FDCWD and temp_dir() or ".") or dir
  check.path(dir, 1, "tempfile")
  local file, message, code = by_path.open(base, dir, flags.RDWR + flags.TMPFILE, PRIVATE_FILE)
  if not file and without_tmpfile[code] then
    return scope.shield(make_unnamed, base, dir) -- nothing else knows the name
  end
  return checked(file, message, code)
end

---Opens a file without a name, to write and read: it is gone when it is closed, however the
---process ends.
---@async
---@param dir string? the directory whose file system has it; $TMPDIR or /tmp by default, of a Dir
---itself
---@return halo.File? file
---@return string? message
---@return string? code
function fs.tempfile(dir, ...)
  check.no_more(2, "tempfile", ...)
  return by_path.tempfile(AT_FDCWD, dir)
end

return fs
