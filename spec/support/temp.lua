-- A directory for files of a test. Used in a block, each of its tests finds an empty one, which is
-- removed after the test with all that is in it:
--
--     local dir = temp.dir()
--
--     it("reads", function()
--       local path = dir:file("greeting", "hello")      -- a file with this content
--       ...
--       assert.equal("hello", dir:read("greeting"))
--
-- It is made of plain io and system calls, so that it does not take part in what is tested.

local busted = require "busted"
local command = require "spec.support.command"
local posix = require "spec.support.posix"

---@class spec.Dir
---@field root string the directory's path while a test runs
local Dir = {}
Dir.__index = Dir

---The path of a name in the directory.
function Dir:path(name)
  return self.root .. "/" .. name
end

---Makes a file with this content, and returns its path.
function Dir:file(name, content)
  local path = self:path(name)
  local file = assert(io.open(path, "wb"))
  assert(file:write(content or ""))
  assert(file:close())
  return path
end

---The content of a file.
function Dir:read(name)
  local file = assert(io.open(self:path(name), "rb"))
  local content = file:read("*a")
  file:close()
  return content
end

---Whether anything has that name, be it a symbolic link that leads nowhere.
function Dir:has(name)
  return posix.exists(self:path(name))
end

---Makes a FIFO, and returns its path.
function Dir:fifo(name)
  posix.mkfifo(self:path(name))
  return self:path(name)
end

---Makes a symbolic link to a target, and returns its path.
function Dir:symlink(name, target)
  posix.symlink(target, self:path(name))
  return self:path(name)
end

local temp = {}

---A directory for each test of the block that calls this.
---@return spec.Dir
function temp.dir()
  local dir = setmetatable({}, Dir)
  busted.before_each(function()
    dir.root = posix.mkdtemp()
  end)
  busted.after_each(function()
    if not dir.root then
      return -- there was no room for one
    end
    os.execute(("rm -rf -- '%s'"):format(dir.root))
    dir.root = nil
  end)
  return dir
end

---A directory on another file system, if there is one. It stays until it is removed.
---@return string
function temp.elsewhere()
  local path, _, status = command.run "mktemp -d -p /dev/shm"
  return status == 0 and path:match "%C+" or posix.mkdtemp()
end

return temp
