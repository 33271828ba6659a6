-- The errnos that take a file system of their own: one that is full, one that only may be read, one
-- to which nothing can be renamed; and files that nobody may change. All of it takes root.

local halo = require "halo"
local catalog = require "spec.support.catalog"
local command = require "spec.support.command"
local posix = require "spec.support.posix"
local on_file = require "spec.support.on_file"
local refusals = require "spec.support.refusals"

local fs = halo.fs

---Mounts a file system on a new directory, or has each test that needs it skipped; it is taken away
---after the block, whatever became of the tests.
local function mounted(t, name, options, fill)
  setup(function()
    t[name] = t.root .. "/" .. name
    os.execute(command.quote("mkdir", t[name]))
    local line = command.quote("mount", "-t", "tmpfs", "-o", options, "none", t[name])
    local _, stderr, status = command.run(line)
    if status ~= 0 then
      t.why_not = "nothing can be mounted here: " .. stderr
      return
    end
    table.insert(t.undo, function()
      command.run(command.quote("umount", "-l", t[name]))
    end)
    os.execute(("cd '%s' && { %s; } 2>/dev/null"):format(t[name], fill))
  end)
end

---Rows of calls that each take a path as their only one.
local function rows_of(list, code, how)
  local rows = {}
  for _, entry in ipairs(list) do
    if how[entry[2]] or how[entry.label or entry[1]] then
      rows[#rows + 1] = { "fs." .. (entry.label or entry[1]), code, how.path, function(t)
        return catalog.calling(entry, 3)(t[how.path])
      end, prefix = entry.prefix }
    end
  end
  return rows
end

-- ---- a file system without room -----------------------------------------------------------------

describe("a file system without room for more bytes", function()
  local t = refusals.fixture()
  mounted(t, "small", "size=1m", "cat /dev/zero >used; : >empty; mkdir dir")

  before_each(function()
    t.new, t.used, t.vacant = t.small .. "/new", t.small .. "/used", t.small .. "/empty"
    t.big = t.root .. "/big"
    os.execute(("mkdir -p '%s' && printf %%70000s x >'%s/x'"):format(t.big, t.big))
    t.big_file = t.big .. "/x"
  end)

  after_each(function()
    os.execute(("cd '%s' && rm -rf big small/new small/empty; : >small/empty"):format(t.root))
  end)

  local data = ("x"):rep(70000)

  ---A call on a file that has no room.
  local with_file = on_file(t, "vacant", "r+")

  refusals.expand(t, {
    { "File:write", "ENOSPC", "vacant", with_file(function(file) return file:write(data) end) },
    { "File:pwrite", "ENOSPC", "vacant",
      with_file(function(file) return file:pwrite(data, 5) end) },
    { "File:write(array)", "ENOSPC", "vacant",
      with_file(function(file) return file:write { data } end) },
    { "File:fallocate", "ENOSPC", "vacant",
      with_file(function(file) return file:fallocate(0, 70000) end) },
    { "fs.writefile", "ENOSPC", "new", function() return fs.writefile(t.new, data) end },
    { "fs.writefile(append)", "ENOSPC", "vacant",
      function() return fs.writefile(t.vacant, data, { append = true }) end },
    { "fs.writefile(atomic)", "ENOSPC", "new",
      function() return fs.writefile(t.new, data, { atomic = true }) end },
    { "fs.writefile(atomic), in place", "ENOSPC", "vacant",
      function() return fs.writefile(t.vacant, data, { atomic = true }) end },
    { "fs.copy", "ENOSPC", "big_file -> new", function() return fs.copy(t.big_file, t.new) end },
    { "fs.copytree", "ENOSPC", "big_file -> new/x", function() return fs.copytree(t.big, t.new) end,
      about = function() return t.big_file .. " -> " .. t.new .. "/x" end },
  })

  it("has fs.move leave all as it was", function()
    if t.why_not then
      pending(t.why_not)
    end
    local ok, message, code = fs.move(t.big, t.new)
    assert.is_nil(ok)
    assert.equal("ENOSPC", code, message)
    assert.equal(#data, fs.stat(t.big_file, "size"))
    assert.is_false(fs.exists(t.new))
    assert.equal(3, #fs.readdir(t.small))
  end)

  it("has an atomic write leave nothing behind", function()
    if t.why_not then
      pending(t.why_not)
    end
    fs.writefile(t.vacant, data, { atomic = true })
    assert.equal(0, fs.stat(t.vacant, "size"))
    assert.equal(3, #fs.readdir(t.small))
  end)
end)

describe("a file system without room for more names", function()
  local t = refusals.fixture()
  mounted(t, "small", "nr_inodes=8",
    ": >file; i=0; while : >f$i || break; do i=$((i + 1)); [ $i -lt 20 ] || break; done; "
      .. "i=0; while ln file l$i || break; do i=$((i + 1)); [ $i -lt 20 ] || break; done")

  before_each(function()
    t.new, t.old = t.small .. "/new", t.small .. "/file"
  end)

  refusals.expand(t, rows_of(catalog.paths, "ENOSPC", { make = true, write = true, path = "new" }))
  refusals.expand(t, {
    { "fs.tempfile", "ENOSPC", "small", function() return fs.tempfile(t.small) end },
    { "fs.link", "ENOSPC", "old -> new", function() return fs.link(t.old, t.new) end },
    { "fs.symlink", "ENOSPC", "file -> new", function() return fs.symlink(t.file, t.new) end },
    { "fs.copy", "ENOSPC", "file -> new", function() return fs.copy(t.file, t.new) end },
    { "fs.copytree", "ENOSPC", "new", function() return fs.copytree(t.full, t.new) end },
    { "Dir:mkdir", "ENOSPC", "small/new", function() return t.at:mkdir "small/new" end,
      about = "small/new" },
    { "Dir:create", "ENOSPC", "small/new", function() return t.at:create "small/new" end,
      about = "small/new" },
    { "Dir:mkfifo", "ENOSPC", "small/new", function() return t.at:mkfifo "small/new" end,
      about = "small/new" },
    { "Dir:symlink", "ENOSPC", "small/new", function() return t.at:symlink("x", "small/new") end,
      about = "x -> small/new" },
  })
end)

-- ---- a file system to be read -------------------------------------------------------------------

describe("a file system that may only be read", function()
  local t = refusals.fixture()
  mounted(t, "fixed", "size=1m",
    "mkdir full dir && : >old && : >full/x && ln -s nowhere link && mount -o remount,ro .")

  before_each(function()
    for name, path in pairs { new = "/new", old = "/old", in_dir = "/dir", ro_full = "/full",
      ro_link = "/link" } do
      t[name] = t.fixed .. path
    end
  end)

  refusals.expand(t, rows_of(catalog.paths, "EROFS", { make = true, write = true, path = "new" }))
  refusals.expand(t, rows_of(catalog.paths, "EROFS", {
    path = "old", ["open(w)"] = true, create = true, writefile = true, chmod = true, chown = true,
    lchown = true, utime = true, lutime = true, truncate = true, setxattr = true,
    removexattr = true, remove = true, ["writefile(append)"] = true, ["writefile(atomic)"] = true,
  }))

  refusals.expand(t, {
    { "fs.access(w)", "EROFS", "old", function() return fs.access(t.old, "w") end },
    { "Dir:access(w)", "EROFS", "fixed/old", function() return t.at:access("fixed/old", "w") end,
      about = "fixed/old" },
    { "fs.open(r+)", "EROFS", "old", function() return fs.open(t.old, "r+") end },
    { "fs.rmdir", "EROFS", "in_dir", function() return fs.rmdir(t.in_dir) end },
    { "fs.rmtree", "EROFS", "full/x", function() return fs.rmtree(t.ro_full) end,
      about = function() return t.ro_full .. "/x" end },
    { "fs.tempfile", "EROFS", "in_dir", function() return fs.tempfile(t.in_dir) end },
    { "fs.rename", "EROFS", "old -> new", function() return fs.rename(t.old, t.new) end },
    { "fs.move", "EROFS", "old -> new", function() return fs.move(t.old, t.new) end },
    { "fs.link", "EROFS", "old -> new", function() return fs.link(t.old, t.new) end },
    { "fs.symlink", "EROFS", "file -> new", function() return fs.symlink(t.file, t.new) end },
    { "fs.lutime", "EROFS", "ro_link", function() return fs.lutime(t.ro_link, 1, 2) end },
    { "fs.copy", "EROFS", "file -> new", function() return fs.copy(t.file, t.new) end },
    { "fs.copytree", "EROFS", "new", function() return fs.copytree(t.full, t.new) end },
    { "Dir:mkdir", "EROFS", "fixed/new", function() return t.at:mkdir "fixed/new" end,
      about = "fixed/new" },
    { "Dir:remove", "EROFS", "fixed/old", function() return t.at:remove "fixed/old" end,
      about = "fixed/old" },
    { "Dir:chmod", "EROFS", "fixed/old", function() return t.at:chmod("fixed/old", 384) end,
      about = "fixed/old" },
    { "Dir:rename", "EROFS", "fixed/old -> fixed/new",
      function() return t.at:rename("fixed/old", "fixed/new") end,
      about = "fixed/old -> fixed/new" },
  })

  for name, call in pairs {
    chmod = function(file) return file:chmod(384) end,
    chown = function(file) return file:chown(0, 0) end,
    utime = function(file) return file:utime(1, 2) end,
    setxattr = function(file) return file:setxattr("user.x", "x") end,
    removexattr = function(file) return file:removexattr "user.x" end,
  } do
    it(("File:%s answers EROFS"):format(name), function()
      if t.why_not then
        pending(t.why_not)
      end
      local file = assert(fs.open(t.old))
      refusals.assert_refused("EROFS", t.old, false, call(file))
      file:close()
    end)
  end
end)

-- ---- where one file system ends -----------------------------------------------------------------

describe("a mount point", function()
  local t = refusals.fixture()
  mounted(t, "other", "size=1m", ": >old")

  setup(function()
    t.bound = t.root .. "/bound"
    os.execute((": >'%s'"):format(t.bound))
    if not t.why_not then
      command.run(command.quote("mount", "--bind", t.file, t.bound))
      table.insert(t.undo, function()
        command.run(command.quote("umount", "-l", t.bound))
      end)
    end
  end)

  before_each(function()
    t.old, t.new = t.other .. "/old", t.other .. "/new"
  end)

  ---A call on an open file of the other file system.
  local with_old = on_file(t, "old", "r+")

  refusals.expand(t, {
    { "fs.rename", "EXDEV", "file -> new", function() return fs.rename(t.file, t.new) end },
    { "fs.rename(noreplace)", "EXDEV", "file -> new",
      function() return fs.rename(t.file, t.new, { noreplace = true }) end },
    { "fs.rename(exchange)", "EXDEV", "file -> old",
      function() return fs.rename(t.file, t.old, { exchange = true }) end },
    { "fs.link", "EXDEV", "file -> new", function() return fs.link(t.file, t.new) end },
    { "Dir:rename", "EXDEV", "file -> other/new",
      function() return t.at:rename("file", "other/new") end, about = "file -> other/new" },
    { "Dir:link", "EXDEV", "file -> other/new",
      function() return t.at:link("file", "other/new") end, about = "file -> other/new" },
    { "fs.move(noreplace)", "EEXIST", "file -> old",
      function() return fs.move(t.file, t.old, { noreplace = true }) end },
    { "fs.move", "ENOTDIR", "dir -> old", function() return fs.move(t.dir, t.old) end },
    { "fs.copy(reflink)", "EXDEV", "file -> new",
      function() return fs.copy(t.file, t.new, { reflink = true }) end },
    { "fs.rmdir", "EBUSY", "other", function() return fs.rmdir(t.other) end },
    { "Dir:rmdir", "EBUSY", "other", function() return t.at:rmdir "other" end, about = "other" },
    { "fs.rename", "EBUSY", "other -> free", function() return fs.rename(t.other, t.free) end },
    { "fs.rename", "EBUSY", "dir -> other", function() return fs.rename(t.dir, t.other) end },
    { "fs.move", "EBUSY", "other -> free", function() return fs.move(t.other, t.free) end },
    { "fs.remove", "EBUSY", "bound", function() return fs.remove(t.bound) end },
    { "Dir:remove", "EBUSY", "bound", function() return t.at:remove "bound" end, about = "bound" },
    { "fs.rename", "EBUSY", "bound -> free", function() return fs.rename(t.bound, t.free) end },
    { "fs.rename", "EBUSY", "file -> bound", function() return fs.rename(t.file, t.bound) end },
    { "fs.writefile(atomic)", "EBUSY", "bound",
      function() return fs.writefile(t.bound, "x", { atomic = true }) end },

    -- What this file system does not know.
    { "fs.copy(reflink)", "EOPNOTSUPP", "old -> new",
      function() return fs.copy(t.old, t.new, { reflink = true }) end },
    { "File:fallocate(insert)", "EOPNOTSUPP", "old",
      with_old(function(file) return file:fallocate(0, 4096, { insert = true }) end) },
    { "File:fallocate(collapse)", "EOPNOTSUPP", "old",
      with_old(function(file) return file:fallocate(0, 4096, { collapse = true }) end) },
    { "fs.open(TMPFILE)", "EOPNOTSUPP", "/proc",
      function() return fs.open("/proc", fs.flags.TMPFILE + fs.flags.RDWR) end, about = "/proc" },

    { "fs.rmtree", "EBUSY", "other", function() return fs.rmtree(t.other) end },
  })
end)

describe("a file system without devices and programs", function()
  local t = refusals.fixture()
  mounted(t, "plain", "nodev,noexec", "mknod null c 1 3; : >program; chmod 755 program")

  before_each(function()
    t.null, t.program = t.plain .. "/null", t.plain .. "/program"
  end)

  refusals.expand(t, {
    { "fs.open", "EACCES", "null", function() return fs.open(t.null) end },
    { "fs.readfile", "EACCES", "null", function() return fs.readfile(t.null) end },
    { "fs.readfile_into", "EACCES", "null",
      function() return fs.readfile_into(t.null, halo.buffer(1)) end },
    { "fs.writefile", "EACCES", "null", function() return fs.writefile(t.null, "x") end },
    { "fs.access(x)", "EACCES", "program", function() return fs.access(t.program, "x") end },
    { "fs.access(x)", "EACCES", "file", function() return fs.access(t.file, "x") end },
  })
end)

describe("a device that is none", function()
  local t = refusals.fixture()
  mounted(t, "plain", "dev", "mknod nobody c 511 1048575; mknod nothing b 4095 1048575")

  before_each(function()
    t.nobody, t.nothing = t.plain .. "/nobody", t.plain .. "/nothing"
  end)

  refusals.expand(t, {
    { "fs.open", "ENXIO", "nobody", function() return fs.open(t.nobody) end },
    { "fs.open(r+)", "ENXIO", "nothing", function() return fs.open(t.nothing, "r+") end },
    { "fs.readfile", "ENXIO", "nobody", function() return fs.readfile(t.nobody) end },
  })
end)

-- ---- too many names -----------------------------------------------------------------------------

describe("a file with as many names as there may be", function()
  local t = refusals.fixture()
  local NAMES_MAX = 65000 -- of ext4; other file systems allow more, which takes too long

  setup(function()
    t.named = t.full .. "/x"
    for i = 2, NAMES_MAX do
      if not pcall(posix.link, t.named, t.full .. "/" .. i) then
        break
      end
    end
    if fs.link(t.named, t.free) then
      t.why_not = "this file system allows more names than can be made here"
    end
  end)

  refusals.expand(t, {
    { "fs.link", "EMLINK", "named -> free", function() return fs.link(t.named, t.free) end },
    { "Dir:link", "EMLINK", "full/x -> free", function() return t.at:link("full/x", "free") end,
      about = "full/x -> free" },
  })
end)

-- ---- files that nobody may change ---------------------------------------------------------------

describe("an immutable file", function()
  local t = refusals.fixture()

  setup(function()
    t.rigid, t.set, t.set_file = t.root .. "/rigid", t.root .. "/set", t.root .. "/set/x"
    os.execute(("cd '%s' && : >rigid && mkdir set && : >set/x"):format(t.root))
    t.handle = assert(fs.open(t.rigid, "r+"))
    table.insert(t.undo, function()
      t.handle:close()
      command.run(command.quote("chattr", "-i", t.rigid, t.set))
    end)
    local _, stderr, status = command.run(command.quote("chattr", "+i", t.rigid, t.set))
    t.why_not = status ~= 0 and "no file can be made immutable here: " .. stderr or nil
  end)

  refusals.expand(t, rows_of(catalog.paths, "EPERM", {
    path = "rigid", ["open(w)"] = true, create = true, chmod = true, chown = true, lchown = true,
    utime = true, lutime = true, truncate = true, setxattr = true, removexattr = true,
    remove = true, writefile = true, ["writefile(append)"] = true, ["writefile(atomic)"] = true,
  }))

  refusals.expand(t, {
    { "fs.open(r+)", "EPERM", "rigid", function() return fs.open(t.rigid, "r+") end },
    { "fs.rename", "EPERM", "rigid -> free", function() return fs.rename(t.rigid, t.free) end },
    { "fs.rename", "EPERM", "file -> rigid", function() return fs.rename(t.file, t.rigid) end },
    { "fs.move", "EPERM", "rigid -> free", function() return fs.move(t.rigid, t.free) end },
    { "fs.link", "EPERM", "rigid -> free", function() return fs.link(t.rigid, t.free) end },
    { "fs.copy", "EPERM", "file -> rigid", function() return fs.copy(t.file, t.rigid) end },
    { "fs.rmdir", "EPERM", "set", function() return fs.rmdir(t.set) end },
    { "fs.remove", "EPERM", "set_file", function() return fs.remove(t.set_file) end },
    { "fs.rmtree", "EPERM", "set_file", function() return fs.rmtree(t.set) end },
    { "Dir:remove", "EPERM", "rigid", function() return t.at:remove "rigid" end, about = "rigid" },
    { "File:truncate", "EPERM", "rigid", function() return t.handle:truncate(0) end,
      allowed = "this file system lets who has a file open go on" },
    { "File:chmod", "EPERM", "rigid", function() return t.handle:chmod(384) end },
    { "File:chown", "EPERM", "rigid", function() return t.handle:chown(0, 0) end },
    { "File:utime", "EPERM", "rigid", function() return t.handle:utime(1, 2) end },
    { "File:fallocate", "EPERM", "rigid", function() return t.handle:fallocate(0, 1) end },
    { "File:setxattr", "EPERM", "rigid", function() return t.handle:setxattr("user.x", "x") end },
  })

  it("is what a directory is in which nothing can be made", function()
    if t.why_not then
      pending(t.why_not)
    end
    local path = t.set .. "/new"
    refusals.assert_refused("EPERM", path, false, fs.open(path, "w"))
    refusals.assert_refused("EPERM", path, false, fs.mkdir(path))
    refusals.assert_refused("EPERM", path, false, fs.mkfifo(path))
    refusals.assert_refused("EPERM", "x -> " .. path, false, fs.symlink("x", path))
  end)
end)
