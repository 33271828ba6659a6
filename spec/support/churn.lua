-- Changes a small tree as fast as it can, as a program of its own, which plain luajit runs:
--
--     luajit churn.lua ROOT OUTSIDE COUNT SEED
--
-- Directories and files come, go, and are moved within ROOT, out of it to OUTSIDE, and back. The
-- last thing that happens is that ROOT/done comes.

local ffi = require "ffi"

ffi.cdef [[
int mkdir(const char *path, unsigned mode);
int rmdir(const char *path);
int rename(const char *from, const char *to);
int unlink(const char *path);
int mknod(const char *path, unsigned mode, unsigned long device);
int usleep(unsigned microseconds);
]]

local C = ffi.C
local root, outside, count, seed = arg[1], arg[2], tonumber(arg[3]), tonumber(arg[4])

local DEPTH, NAMES, FILES = 4, 3, 2 -- few names, so that most calls hit something
local PLAIN = 0x8180 -- S_IFREG with permissions
local PAUSE_US = 300 -- at most, now and then: whoever watches gets into the middle of it

local random = math.random

local function dir()
  local path = root
  for _ = 1, random(DEPTH) do
    path = path .. "/" .. string.char(96 + random(NAMES))
  end
  return path
end

local function file()
  return dir() .. random(FILES)
end

local function away()
  return outside .. "/" .. random(NAMES)
end

-- What is done, as often as its weight says.
local changes = {
  { 30, function() C.mkdir(dir(), tonumber("700", 8)) end },
  { 15, function() C.mknod(file(), PLAIN, 0) end },
  { 15, function() C.unlink(file()) end },
  { 12, function() C.rmdir(dir()) end },
  { 20, function() C.rename(dir(), dir()) end },
  { 3, function() C.rename(file(), file()) end },
  { 2, function() C.rename(dir(), away()) end },
  { 3, function() C.rename(away(), dir()) end },
}

local function change()
  local at = random(100)
  for _, entry in ipairs(changes) do
    at = at - entry[1]
    if at <= 0 then
      return entry[2]()
    end
  end
end

math.randomseed(seed)
for _ = 1, count do
  change()
  if random(20) == 1 then
    C.usleep(random(PAUSE_US))
  end
end
C.mknod(root .. "/done", PLAIN, 0)
