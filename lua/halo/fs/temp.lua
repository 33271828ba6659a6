-- Files and directories that exist only for a while, under names that nobody can guess.

local by_path = require "halo.fs.by_path"
local core = require "halo.core"
local check = require "halo.fs.check"
local errors = require "halo.fs.errors"
local wait = require "halo.wait"

local TRIES = 100 -- for a name that is free; that many in vain are no accident
local LETTERS = 12 -- in a name, where the template does not say
local PRIVATE_FILE, PRIVATE_DIR = tonumber("600", 8), tonumber("700", 8)

local AT_FDCWD, flags = core.AT_FDCWD, core.flags
local NEW = flags.RDWR + flags.CREAT + flags.EXCL
local checked, guard, settle = wait.checked, wait.guard, wait.settle

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
  return by_path.open(base, path, NEW, PRIVATE_FILE)
end

local function make_dir(base, path)
  return checked(core.mkdir_undone(base, path, PRIVATE_DIR))
end

function by_path.mkstemp(base, template)
  return make_new(make_file, base, expand(base, template, "mkstemp"))
end

function by_path.mkdtemp(base, template)
  local head, count = expand(base, template, "mkdtemp")
  local made, path, code = make_new(make_dir, base, head, count)
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

---Creates a directory that only this user may enter. Where a cancellation is raised by this call,
---there is none, or none any more once the file system has answered.
---@async
---@param template string? as for fs.mkstemp
---@return string? path
---@return string? message
---@return string? code
function fs.mkdtemp(template, ...)
  check.no_more(2, "mkdtemp", ...)
  return by_path.mkdtemp(AT_FDCWD, template)
end

---@class halo.Unnamed a file that has its name only for a moment
---@field dir string as the user says it
---@field directory halo.File
---@field name string? the latest that was tried
---@field made boolean? it has to be removed
---@field hold lightuserdata? on that name, which the end of halo removes as well
---@field file halo.File?

---An interruption may come anywhere, so that the name is known before there is the file. One that
---is made when nobody waits for it any more is removed by the core.
local function make_for_a_moment(job, name)
  core.release(job.hold)
  job.hold = core.hold(job.directory, name)
  job.name, job.made = name, true
  local file, message, code = checked(core.open(job.directory, name, NEW, PRIVATE_FILE, job.dir))
  job.file, job.made = file, file ~= nil
  return file, message, code
end

---Messages are about the directory, since nobody knows the name.
local function make_unnamed(job)
  local file, message, code = make_new(make_for_a_moment, job, ".halo-", LETTERS)
  if not file then
    return nil, job.name and errors.with_path(message, job.name, job.dir) or message, code
  end
  local removed
  removed, message, code = checked(core.remove(job.directory, job.name))
  if not removed then
    return nil, errors.with_path(message, job.name, job.dir), code
  end
  job.made = false
  return file
end

---Where the file system knows no files without a name: one whose name is removed at once. After a
---cancellation nothing here is waited for, since the file system may not answer.
local function open_unnamed(base, dir)
  local directory, problem, problem_code = by_path.open(base, dir, flags.PATH + flags.DIRECTORY)
  if not directory then
    return nil, problem, problem_code
  end
  local job = { dir = dir, directory = core.as_base(directory) }
  local ok, file, message, code = guard(make_unnamed, job)
  if not (ok and file) and job.file then
    core.close(job.file)
  end
  if job.made then
    core.remove_leftover(job.directory, job.name)
  end
  core.release(job.hold)
  core.close(job.directory)
  return settle(ok, file, message, code)
end

local without_tmpfile = { EOPNOTSUPP = true, EISDIR = true, EINVAL = true }

function by_path.tempfile(base, dir)
  dir = dir == nil and (base == AT_FDCWD and temp_dir() or ".") or dir
  check.path(dir, 1, "tempfile")
  local file, message, code = by_path.open(base, dir, flags.RDWR + flags.TMPFILE, PRIVATE_FILE)
  if not file and without_tmpfile[code] then
    return open_unnamed(base, dir)
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
