-- The calls by path that have a directory to begin in, each defined once: halo.fs passes them the
-- working directory, core.AT_FDCWD, and the methods of a Dir (at.lua) its own, as the File before
-- the first path. What they take and return is said in data.lua, meta.lua and names.lua.

local check = require "halo.fs.check"
local core = require "halo.core"
local checked = require("halo.wait").checked

local copy_flags = core.copy_flags
local copy_options = {
  exclusive = true, reflink = true, mode = true, times = true, owner = true, xattrs = true,
}

local by_path = {}

---Those whose arguments the core checks.
-- stylua: ignore
local plain = {
  "open", "remove", "rmdir", "mkdir", "mkfifo", "mknod", "link", "symlink", "readlink", "readdir",
  "chmod", "chown", "lchown", "utime", "lutime",
}
for _, name in ipairs(plain) do
  by_path[name] = function(base, a, b, c, d, e)
    return checked(core[name](base, a, b, c, d, e))
  end
end

function by_path.create(base, path, perm)
  check.path(path, 1, "create")
  return checked(core.open(base, path, "w", check.perm(perm, 2, "create")))
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
