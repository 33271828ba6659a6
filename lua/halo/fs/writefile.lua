-- Whole files, written: plainly, or to a new file that then takes the name.

local bit = require "bit"
local by_path = require "halo.fs.by_path"
local calls = require "halo.fs.calls"
local check = require "halo.fs.check"
local core = require "halo.core"
local errors = require "halo.fs.errors"
local keys = require "halo.keys"
local perm = require "halo.fs.perm"
local target = require "halo.fs.target"
local wait = require "halo.wait"

local assert_ok = errors.assert_ok
local checked, guard, settle = wait.checked, wait.guard, wait.settle
local flags = core.flags
local NOREPLACE = core.rename_flags.noreplace

local PRIVATE = tonumber("600", 8)
local MODE_BITS, PERM_BITS = tonumber("7777", 8), tonumber("777", 8)
local WRITABLE = "string, number, buffer or an array of them"
local RANDOM_LETTERS = 16 -- in the name that a new file has first

local write_options = {
  append = true, exclusive = true, perm = "any", sync = true, atomic = true, xattrs = true,
}

---@class halo.fs
local fs = {}

---@class halo.Replacement: halo.Target an atomic write that is under way
---@field temporary string? the name of the new file as long as it has to be removed
---@field hold lightuserdata? on that name, which the end of halo removes as well
---@field file halo.File? as long as it has to be closed

---Creates the file that will take the name. One that is made when nobody waits for it any more is
---removed by the core, since it is made exclusively. An interruption may come anywhere, so that the
---name is known before there is the file; that it is somebody else's, who would then lose it, would
---take the same 16 letters.
local function create_temporary(job, bits)
  local name = ".halo-" .. assert_ok(job.path, core.random_name(RANDOM_LETTERS))
  local how = flags.WRONLY + flags.CREAT + flags.EXCL
  job.hold = core.hold(job.directory, name) -- this task may not come to run once more
  job.temporary = name
  local file, message, code = checked(core.open(job.directory, name, how, bits))
  job.file = file
  if not file then
    job.temporary = nil
    assert_ok(job.path, nil, message, code)
  end
end

---Nobody has to remove the new file any more.
local function release_temporary(job)
  core.release(job.hold)
  job.temporary, job.hold = nil, nil
end

---What others than root may not set, and some file systems do not have.
local function may_lack(name, code)
  local privileged = not (name:match "^user%." or name:match "^system%.")
  return code == "ENODATA" or privileged and (code == "EPERM" or code == "EOPNOTSUPP")
end

---Extended attributes, ACLs included. The path leads to the old file itself, whatever has its name.
local function copy_xattrs(job, replaced)
  local old = ("/proc/self/fd/%d"):format(target.open_replaced(job, replaced):fd())
  local names, message, code = calls.listxattr(old)
  if code == "EOPNOTSUPP" then
    return
  end
  for _, name in ipairs(assert_ok(job.path, names, message, code)) do
    local value, ok
    value, message, code = calls.getxattr(old, name)
    if value then
      ok, message, code = calls.setxattr(job.file, name, value)
    end
    if not ok and not may_lack(name, code) then
      assert_ok(job.path, nil, message, code)
    end
  end
end

---The owner, where this user may give files away, and the permission bits.
local function copy_attributes(job, replaced, xattrs)
  local mode = bit.band(replaced.mode, MODE_BITS)
  local new = assert_ok(job.path, calls.fstat(job.file))
  if new.uid ~= replaced.uid or new.gid ~= replaced.gid then
    local ok, message, code = calls.fchown(job.file, replaced.uid, replaced.gid)
    if code == "EPERM" then
      mode = bit.band(mode, PERM_BITS) -- not the rights of an owner that it does not have
    else
      assert_ok(job.path, ok, message, code)
    end
  end
  if xattrs then
    copy_xattrs(job, replaced) -- behind the owner, whose change takes capabilities away
  end
  assert_ok(job.path, checked(core.fchmod(job.file, mode)))
end

---Gives the new file its name.
local function rename_into_place(job, exclusive)
  local directory, from, to = job.directory, job.temporary, job.name
  local ok, message, code = checked(core.rename(directory, from, to, exclusive and NOREPLACE or 0))
  if code == "EINVAL" and exclusive then
    -- A file system that does not know how may know hard links, which never replace anything.
    assert_ok(job.path, checked(core.link(directory, from, to)))
    ok, message, code = checked(core.remove(directory, from))
  end
  assert_ok(job.path, ok, message, code)
  job.placeholder = nil
  release_temporary(job)
end

---The name is safe once the directory is on the disk. Some file systems have no such thing.
local function sync_directory(job)
  local ok, message, code = calls.fsync(job.directory)
  if code ~= "EINVAL" then
    assert_ok(job.path, ok, message, code)
  end
end

local function replace(job, data, options, bits)
  local path = job.path
  target.find(job, options.exclusive)
  local replaced = job.replaced
  create_temporary(job, replaced and PRIVATE or bits)
  assert_ok(path, calls.write(job.file, data))
  if replaced then
    copy_attributes(job, replaced, options.xattrs)
  end
  if options.sync ~= false then
    assert_ok(path, calls.fsync(job.file))
  end
  local file = job.file
  job.file = nil
  assert_ok(path, calls.close(file))
  rename_into_place(job, options.exclusive)
  if job.syncs then
    sync_directory(job)
  end
  return true
end

---Leaves nothing behind, whatever happened. After a cancellation nothing here is waited for, which
---would hang with a file system that does not answer.
local function clean_up(job)
  if job.file then
    core.close(job.file)
  end
  if job.temporary then
    core.remove_leftover(job.directory, job.temporary)
  end
  release_temporary(job)
  target.release(job)
end

local function write_atomic(base, path, data, options, bits)
  local job = { base = base, path = path, wants_sync = options.sync ~= false }
  local ok, result = guard(replace, job, data, options, bits)
  clean_up(job)
  return settle(ok, result)
end

local function write_and_sync(file, data, sync)
  local ok, message, code = calls.write(file, data)
  if ok and sync then
    ok, message, code = calls.fsync(file)
  end
  if not ok then
    return nil, message, code
  end
  return true
end

---Of what guard() has returned about work on a file: closes the file, then returns or raises it.
---A close that fails is the result where the work has succeeded. After a cancellation it is not
---waited for.
local function close_after(file, ok, ...)
  local closed, message, code = core.close(file)
  if ok and (...) ~= nil and not closed then
    return wait.refused(message, code)
  end
  return settle(ok, ...)
end

local function write_plain(base, path, data, options, bits)
  local how = flags.WRONLY + flags.CREAT
  if options.exclusive then
    how = how + flags.EXCL
  end
  how = how + (options.append and flags.APPEND or options.exclusive and 0 or flags.TRUNC)
  local file, message, code = checked(core.open(base, path, how, bits))
  if not file then
    return nil, message, code
  end
  return close_after(file, guard(write_and_sync, file, data, options.sync))
end

local function check_data(data)
  local elements = type(data) == "table" and data or { data }
  for i = 1, #elements do
    local element = elements[i]
    local kind = type(element)
    if kind ~= "string" and kind ~= "number" and not check.is_buffer(element) then
      if type(data) == "table" then
        check.fail(("element %d is no string, number or buffer"):format(i), 2, "writefile")
      end
      check.type_error(WRITABLE, data, 2, "writefile")
    end
  end
  if data == nil then
    check.type_error(WRITABLE, data, 2, "writefile")
  end
  local key = type(data) == "table" and keys.other(data, #data) or nil
  if key ~= nil then
    local problem = "an array expected: %s is no place from 1 to %d"
    check.fail(problem:format(keys.name_of(key), #data), 2, "writefile")
  end
end

function by_path.writefile(base, path, data, options)
  check.path(path, 1, "writefile")
  check_data(data)
  options = check.options(options, 3, "writefile", write_options)
  local bits = perm.of_new(options.perm, perm.FILE, 3, "writefile") or perm.FILE
  if not options.atomic then
    if options.xattrs then
      check.fail("xattrs is for atomic writes; others keep them anyway", 3, "writefile")
    end
    return write_plain(base, path, data, options, bits)
  elseif options.append then
    check.fail("append and atomic exclude each other", 3, "writefile")
  end
  local ok, result = guard(write_atomic, base, path, data, options, bits)
  if not ok and errors.caught(result) then
    return unpack(result, 1, 3)
  end
  return settle(ok, result)
end

---@class halo.WriteOptions
---@field append boolean? behind what the file has
---@field exclusive boolean? the file must not exist yet (EEXIST)
---@field perm halo.Perm? of a new file, less the umask; "644" by default
---@field sync boolean? wait until it is on the disk; with atomic this is so unless it is false
---@field atomic boolean? the name leads to the old content or to all of the new, never to a part
---@field xattrs boolean? with atomic: keep the extended attributes and ACLs of what is replaced

---Writes a file: what it had is replaced, unless options say otherwise.
---
---With atomic, the data goes to a new file in the same directory, which then takes the name, or
---that of the file which a symbolic link leads to. As for a rename, that takes the right to write
---into the directory, and none to the file. The permission bits of a file that is replaced are
---kept, and its owner where that is allowed; further hard links are not, and extended attributes
---only with the option xattrs: then it fails where one that this user may set cannot be kept.
---What is no plain file with a name, such as a pipe or a removed file in /proc/self/fd, is not
---replaced (EINVAL). A directory that may be written and not read cannot be synced: there, a crash
---may undo the write. Where a link leads to nothing, an empty file that nobody may open stands
---there for a moment. Links cannot be followed without /proc (EOPNOTSUPP).
---@async
---@param path string
---@param data halo.Data|halo.Data[]
---@param options halo.WriteOptions?
---@return true?
---@return string? message
---@return string? code
function fs.writefile(path, data, options, ...)
  check.no_more(4, "writefile", ...)
  return by_path.writefile(core.AT_FDCWD, path, data, options)
end

return fs
