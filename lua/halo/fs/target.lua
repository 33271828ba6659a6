-- The name that an atomic write replaces: the one of the file that a plain write to the path would
-- come to. A symbolic link is followed by the kernel, with all that it checks; which name its end
-- has is asked of /proc, and verified below an open directory. Below a directory that confines, the
-- links are read instead, and what they say is opened from that directory: it is the name where the
-- kernel has come to the same file.

local by_path = require "halo.fs.by_path"
local calls = require "halo.fs.calls"
local core = require "halo.core"
local errors = require "halo.fs.errors"
local scope = require "halo.scope"
local stat = require "halo.fs.stat"
local checked = require("halo.wait").checked

local assert_ok = errors.assert_ok
local flags = core.flags

local LINKS_MAX = 40 -- one after the other
local TRIES = 100 -- for a file that others rename or replace meanwhile
local PLACEHOLDER = tonumber("1000", 8) -- its permission bits
local DIRECTORY = flags.DIRECTORY
local LINKLESS = DIRECTORY + flags.NOFOLLOW
local TO_CREATE = flags.WRONLY + flags.CREAT + flags.NONBLOCK + flags.NOCTTY

local NO_PROC = "EOPNOTSUPP: /proc is not mounted, which it takes to follow a symbolic link"
local elsewhere = { ENOENT = true, ENOTDIR = true, ENAMETOOLONG = true } -- the name is no more

---@class halo.Target what is open, and stands, until release()
---@field base halo.File what the path begins in
---@field path string as the user says it
---@field directory halo.File?
---@field wants_sync boolean
---@field syncs boolean? the directory is to be synced
---@field name string? in the directory, once it is found
---@field replaced halo.Stat? of the file that has the name
---@field opened halo.File? the end of a symbolic link
---@field before halo.File? the same of the try before: its inode has no successor while it is open
---@field placeholder string? the id of an empty file that was made where a link leads

local target = {}

local function split(path)
  return path:match "^(.-)([^/]*)$"
end

local function lstat(directory, name)
  return stat.ask(core.lstat, "lstat", name, directory)
end

local function close(self, field)
  local file = self[field]
  self[field] = nil
  if file then
    core.close(file)
  end
end

---Opens the directory, and says whether it can be synced. That takes the right to read it, which
---the right to write into it does not imply.
---@async
local function open_directory(self, base, path, how)
  self.syncs = self.wants_sync
  local directory, message, code
  if self.syncs then
    directory, message, code = by_path.open(base, path, flags.RDONLY + how)
  end
  if not self.syncs or code == "EACCES" then
    self.syncs = false
    directory, message, code = by_path.open(base, path, flags.PATH + how)
  end
  if not directory then
    return nil, message, code
  end
  self.directory = core.as_base(directory)
  return true
end

---Only plain files are replaced.
local function assert_plain(self, status)
  if status.is_dir then
    assert_ok(self.path, nil, "EISDIR: is a directory", "EISDIR")
  elseif not status.is_file then
    assert_ok(self.path, nil, "EINVAL: invalid argument", "EINVAL")
  end
  return status
end

-- ---- symbolic links -----------------------------------------------------------------------------

---Whether a file stands only for a content that is to come: nobody makes such a one otherwise.
local function is_placeholder(status)
  return status.is_file and status.size == 0 and status.perm == PLACEHOLDER
end

---Makes an empty file where a link leads to nothing, as a plain write would; until the content is
---there, nobody may open it. Not to be cancelled half-way: it would be left over.
---@async
local function make_placeholder(self)
  local file, message, code = by_path.open(self.base, self.path, TO_CREATE, PLACEHOLDER)
  if not file then
    return nil, message, code
  end
  self.opened = file
  local status = assert_ok(self.path, calls.fstat(file))
  self.placeholder = is_placeholder(status) and status.id or nil
  return file
end

---Opens what the path leads to, without any effect on it. (The kernel asks for no right to the
---file itself here, as for a rename; whether the links may be followed it checks in each open.)
---@async
local function open_end(self)
  local file, message, code = by_path.open(self.base, self.path, flags.PATH)
  if code == "ENOENT" then
    file, message, code = scope.shield(make_placeholder, self)
    if code == "EACCES" then -- maybe for the placeholder of another, which is there by now
      file = by_path.open(self.base, self.path, flags.PATH)
    end
  end
  self.opened = assert_ok(self.path, file, message, code)
  return assert_plain(self, assert_ok(self.path, calls.fstat(file)))
end

---Opens the directory that holds the file which is open.
---@async
---@return boolean # false where that has no name, or has it no more
local function locate(self, id)
  local text, message, code = calls.readlink("/proc/self/fd/" .. self.opened:fd())
  assert_ok(self.path, text, code == "ENOENT" and NO_PROC or message,
    code == "ENOENT" and "EOPNOTSUPP" or code)
  local parent, name = text:match "^(/.-)/*([^/]+)$"
  if not parent then
    return false
  end
  close(self, "directory")
  local ok
  ok, message, code = open_directory(self, core.AT_FDCWD, parent, LINKLESS)
  if not ok and elsewhere[code] then
    return false
  end
  assert_ok(self.path, ok, message, code)
  local status
  status, message, code = lstat(self.directory, name)
  if status and status.id == id then
    self.name = name
    return true
  elseif not status and not elsewhere[code] then
    assert_ok(self.path, nil, message, code)
  end
  return false
end

---The same below a directory that confines, where no name of /proc may be gone by.
---@async
---@return boolean
local function locate_below(self, id)
  local path = self.path
  for _ = 1, LINKS_MAX do
    local parent, name = split(path)
    close(self, "directory")
    local ok, message, code = open_directory(self, self.base, parent == "" and "." or parent,
      DIRECTORY)
    local status, text
    if ok then
      status, message, code = lstat(self.directory, name)
    end
    if status and status.is_symlink then
      text, message, code = core.readlink(self.directory, name)
    end
    if not text then
      if not status and not elsewhere[code] then
        assert_ok(self.path, nil, message, code)
      end
      self.name = status and status.id == id and name or nil
      return self.name ~= nil
    end
    path = parent .. text
  end
  return false
end

---@async
local function find_name(self, id)
  return (core.confines(self.base) and locate_below or locate)(self, id)
end

---@async
local function remove_placeholder(self)
  local id = self.placeholder
  if not self.name and not find_name(self, id) then
    return
  end
  local status = lstat(self.directory, self.name)
  if status and status.id == id and is_placeholder(status) then
    core.remove(self.directory, self.name)
  end
  self.placeholder = nil
end

---Finds the name of what the path leads to. A file that the path leads to again, though it has been
---removed, has none; one that is renamed meanwhile is looked for again.
---@async
local function follow(self)
  local last
  for _ = 1, TRIES do
    local status = open_end(self)
    if find_name(self, status.id) then
      self.replaced = not is_placeholder(status) and status or nil
      if self.placeholder then -- a process that is killed later does not leave it over
        scope.shield(remove_placeholder, self)
      end
      return
    elseif status.id == last and status.nlink == 0 then
      break
    end
    last = status.id
    close(self, "before")
    self.before, self.opened, self.placeholder = self.opened, nil, nil
  end
  assert_ok(self.path, nil, "EINVAL: invalid argument", "EINVAL")
end

-- ---- the target ---------------------------------------------------------------------------------

---Finds the name, and what has it. What is refused is raised, for errors.caught().
---@async
---@param self halo.Target
---@param exclusive boolean? the name has to be free, so that no link is followed
function target.find(self, exclusive)
  local path = self.path
  local parent, name = split(path)
  if name == "" then
    assert_plain(self, assert_ok(path, by_path.stat(self.base, path)))
  end
  assert_ok(path, open_directory(self, self.base, parent == "" and "." or parent, DIRECTORY))
  local status, message, code
  if not exclusive then
    status, message, code = lstat(self.directory, name)
  end
  if exclusive or not status and code == "ENOENT" then
    self.name = name
  elseif assert_ok(path, status, message, code).is_symlink then
    follow(self)
  else
    self.name = name
    self.replaced = assert_plain(self, status) and not is_placeholder(status) and status or nil
  end
end

---The file that is replaced, as a place, where it has the name still.
---@async
---@param self halo.Target
---@param replaced halo.Stat
---@return halo.File
function target.open_replaced(self, replaced)
  if not self.opened then
    local how = flags.PATH + flags.NOFOLLOW
    self.opened = assert_ok(self.path, checked(core.open(self.directory, self.name, how)))
  end
  if assert_ok(self.path, calls.fstat(self.opened)).id ~= replaced.id then
    assert_ok(self.path, nil, "ESTALE: it was replaced meanwhile", "ESTALE")
  end
  return self.opened
end

---Closes all, and takes away what was made for a content that never came.
---@async
---@param self halo.Target
function target.release(self)
  if self.placeholder then
    scope.shield(pcall, remove_placeholder, self)
  end
  close(self, "before")
  close(self, "opened")
  close(self, "directory")
end

return target
