-- The calls by path that have a directory to begin in, each defined once: halo.fs passes them the
-- working directory, core.AT_FDCWD, and the methods of a Dir (at.lua) its own, as the File before
-- the first path. What they take and return is said in data.lua, meta.lua and names.lua.

local check = require "halo.fs.check"
local core = require "halo.core"
local perm = require "halo.fs.perm"
local stat = require "halo.fs.stat"

local checked = require("halo.wait").checked

local copy_flags = core.copy_flags
local copy_options = {
  exclusive = true, reflink = true, mode = true, times = true, owner = true, xattrs = true,
}

local by_path = {}

---Those whose arguments the core checks.
-- stylua: ignore
local plain = {
  "rmdir", "link", "symlink", "readlink", "readdir", "chown", "lchown", "utime", "lutime",
  "truncate", "statfs", "getxattr", "listxattr", "removexattr", "lgetxattr", "llistxattr",
  "lremovexattr",
}
for _, name in ipairs(plain) do
  by_path[name] = function(base, a, b, c, d, e)
    return checked(core[name](base, a, b, c, d, e))
  end
end

local open_options = { perm = "any", buffer = "any" }

---The permission bits, and the size of the buffer where options ask for one.
local function of_options(options, mode, position, name)
  if type(options) ~= "table" then
    return perm.of_new(options, perm.FILE, position, name)
  end
  check.options(options, position, name, open_options)
  local size = options.buffer and check.buffer_size(options.buffer, position, name)
  if size and (mode == nil or type(mode) == "string" and not mode:find "[wa+]") then
    check.fail("buffer is for a file that is written", position, name)
  end
  return perm.of_new(options.perm, perm.FILE, position, name), size
end

local function open(base, path, mode, bits, size)
  local file, message, code = checked(core.open(base, path, mode, bits))
  if not file then
    return nil, message, code
  elseif not size then
    return file
  end
  local ok
  ok, message, code = core.set_buffer(file, size)
  if not ok then
    core.close(file)
    return nil, message, code
  end
  return file
end

function by_path.open(base, path, mode, options)
  local bits, size = of_options(options, mode, 3, "open")
  return open(base, path, mode, bits, size)
end

function by_path.stat(base, path, ...)
  return stat.ask(core.stat, "stat", path, base, ...)
end

function by_path.lstat(base, path, ...)
  return stat.ask(core.lstat, "lstat", path, base, ...)
end

for _, name in ipairs { "setxattr", "lsetxattr" } do
  by_path[name] = function(base, path, attribute, value, options)
    local flags = check.flags(options, 4, name, core.setxattr_flags)
    return checked(core[name](base, path, attribute, value, flags))
  end
end

function by_path.create(base, path, options)
  check.path(path, 1, "create")
  local bits, size = of_options(options, "w", 2, "create")
  return open(base, path, "w", bits, size)
end

function by_path.mkfifo(base, path, bits)
  return checked(core.mkfifo(base, path, perm.of_new(bits, perm.FILE, 2, "mkfifo")))
end

function by_path.mknod(base, path, kind, bits, major, minor)
  bits = perm.of_new(bits, perm.FILE, 3, "mknod")
  return checked(core.mknod(base, path, kind, bits, major, minor))
end

function by_path.chmod(base, path, mode)
  check.path(path, 1, "chmod")
  local bits, message, code = perm.of_present(mode, 2, "chmod", by_path.stat, base, path)
  if not bits then
    return nil, message, code
  end
  return checked(core.chmod(base, path, bits))
end

function by_path.access(base, path, how)
  return checked(core.access(base, path, check.access(how, 2, "access")))
end

function by_path.exists(base, path)
  local ok, message, code = checked(core.access(base, check.path(path, 1, "exists"), 0))
  if ok then
    return true
  elseif code == "ENOENT" or code == "ENOTDIR" then
    return false
  end
  return nil, message, code
end

function by_path.rename(base, from, to, options)
  local flags = check.flags(options, 3, "rename", core.rename_flags)
  return checked(core.rename(base, from, to, flags))
end

function by_path.copy(base, from, to, options)
  options = check.options(options, 3, "copy", copy_options)
  local flags = check.bits(options, copy_flags)
  if options.reflink == false then
    flags = flags + copy_flags.no_link
  end
  return checked(core.copyfile(base, from, to, flags))
end

return by_path
