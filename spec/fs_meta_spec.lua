-- Metadata, nodes and attributes: each call's effect, and the refusals that can be provoked.

local command = require "spec.support.command"
local fs = require "halo.fs"
local temp = require "spec.support.temp"
require "spec.support.assertions"

local function code_of(...)
  return (select(3, ...))
end

describe("metadata", function()
  local dir = temp.dir()
  local name, file

  before_each(function()
    name = dir:path "file"
    file = assert(fs.open(name, "w+"))
    file:write "12345"
  end)

  after_each(function()
    file:close()
  end)

  it("has permission bits, by path and by file", function()
    assert.is_true(fs.chmod(name, 384))
    assert.equal(384, fs.stat(name, "mode") % 4096)
    assert.is_true(file:chmod(420))
    assert.equal(420, file:stat("mode") % 4096)
    assert.equal("ENOENT", code_of(fs.chmod(dir:path "nope", 384)))
    assert.equal("ENOTDIR", code_of(fs.chmod(name .. "/below", 384)))
  end)

  it("has owners, of which nil leaves one as it is", function()
    local uid, gid = fs.stat(name, "uid"), fs.stat(name, "gid")
    assert.is_true(fs.chown(name, uid, gid))
    assert.is_true(file:chown(nil, gid))
    assert(fs.symlink("nowhere", dir:path "link"))
    assert.is_true(fs.lchown(dir:path "link", uid, nil))
    assert.equal("ENOENT", code_of(fs.chown(dir:path "link", uid, gid)))
  end)

  it("has times, exact to the nanosecond", function()
    assert.is_true(fs.utime(name, { 1000000000, 123456789 }, { 5, 7 }))
    local stat = fs.stat(name)
    assert.same({ 1000000000, 123456789, 5, 7 },
      { stat.atime, stat.atime_nsec, stat.mtime, stat.mtime_nsec })
    assert.is_true(file:utime(nil, 42))
    stat = file:stat()
    assert.same({ 1000000000, 42 }, { stat.atime, stat.mtime })
    assert.is_true(fs.futime(file, "now", nil))
    assert.is_true(file:stat("atime") > 1000000000)
    assert(fs.symlink("file", dir:path "link"))
    assert.is_true(fs.lutime(dir:path "link", 1, 2))
    assert.equal(2, fs.lstat(dir:path "link", "mtime"))
    assert.equal(42, fs.stat(name, "mtime"))
    assert.equal("ENOENT", code_of(fs.utime(dir:path "nope", 1, 1)))
    assert.has_error(function() fs.utime(name, "then", 1) end)
  end)

  it("takes a time that is next to a whole second, before or after 1970", function()
    for _, case in ipairs {
      { -1e-20, 0, 0 },
      { -1e-9, -1, 999999999 },
      { -1e-10, -1, 999999999 },
      { 5 - 2 ^ -50, 4, 999999999 },
      { 1e-10, 0, 0 },
      { -2.5, -3, 500000000 },
      { 2 ^ 31 - 2 ^ -22, 2 ^ 31 - 1, 999999761 },
      { { -3, 999999999 }, -3, 999999999 },
    } do
      local set, seconds, nanoseconds = unpack(case)
      for _, way in ipairs { fs.utime, fs.lutime } do
        assert.is_true(way(name, set, 1))
        local stat = fs.stat(name)
        assert.same({ seconds, nanoseconds }, { stat.atime, stat.atime_nsec })
      end
      assert.is_true(file:utime(1, set))
      assert.same({ seconds, nanoseconds }, { fs.stat(name, "mtime"), fs.stat(name, "mtime_nsec") })
    end
  end)

  it("refuses what is no time, and a fraction where a whole number is meant", function()
    local whole = "(the seconds of {seconds, nanoseconds} are a whole number)"
    assert.misuse("bad argument #2 to 'utime' " .. whole,
      function() fs.utime(name, { 1.5, 0 }) end)
    assert.misuse("bad argument #3 to 'lutime' " .. whole,
      function() fs.lutime(name, nil, { -0.5 }) end)
    assert.misuse("bad argument #2 to 'futime' " .. whole,
      function() fs.futime(file, { 1e-20, 5 }) end)
  end)

  it("has attributes, by path and by file", function()
    local ok, _, code = fs.setxattr(name, "user.note", "a\0b")
    if code == "EOPNOTSUPP" then
      pending "this file system has no extended attributes"
      return
    end
    assert.is_true(ok)
    assert.equal("a\0b", file:getxattr "user.note")
    assert.is_true(file:setxattr("user.more", ""))
    local names = fs.listxattr(name)
    table.sort(names)
    assert.same({ "user.more", "user.note" }, names)
    assert.same(2, #file:listxattr())
    assert.equal("EEXIST", code_of(fs.setxattr(name, "user.note", "x", { create = true })))
    assert.equal("ENODATA", code_of(fs.setxattr(name, "user.none", "x", { replace = true })))
    assert.is_true(fs.removexattr(name, "user.note"))
    assert.is_true(file:removexattr "user.more")
    assert.equal("ENODATA", code_of(fs.getxattr(name, "user.note")))
    assert.equal("ENODATA", code_of(fs.removexattr(name, "user.note")))
  end)

  it("tells of the file system", function()
    local status = assert(fs.statfs(name))
    assert.is_true(status.blocks >= status.bfree and status.bsize > 0)
    for _, path in ipairs { name, "/", "/proc", "/dev/shm" } do -- proc has no block size of its own
      local expected = command.run("stat -f -c '%S %s' " .. command.quote(path))
      status = assert(fs.statfs(path))
      assert.equal(expected, ("%d %d\n"):format(status.frsize, status.bsize))
    end
    status = assert(fs.statfs(name))
    assert.equal(status.type, file:statfs().type)
    assert.equal("ENOENT", code_of(fs.statfs(dir:path "nope")))
    assert.is_true(fs.sync())
  end)

  it("lets the size be set, by path and by file", function()
    assert.is_true(fs.truncate(name, 3))
    assert.equal("123", fs.readfile(name))
    assert.is_true(file:truncate(5))
    assert.equal("123\0\0", fs.readfile(name))
    assert.equal("EISDIR", code_of(fs.truncate(dir.root, 0)))
    assert.equal("ENOENT", code_of(fs.truncate(dir:path "nope", 0)))
    local reading = assert(fs.open(name))
    assert.is_truthy(code_of(reading:truncate(0)))
    reading:close()
  end)

  it("lets room be reserved and holes be made", function()
    local ok, _, code = file:fallocate(0, 65536, { keep_size = true })
    if code == "EOPNOTSUPP" then
      pending "this file system cannot reserve room"
      return
    end
    assert.is_true(ok)
    assert.equal(5, file:stat "size")
    assert.is_true(file:fallocate(0, 4, { punch_hole = true }))
    assert.equal("\0\0\0\0005", fs.readfile(name))
    -- A hole keeps the size as it is, so that the two together mean no more than the one.
    assert.is_true(file:fallocate(0, 5, { punch_hole = true, keep_size = true }))
    assert.equal(("\0"):rep(5), fs.readfile(name))
  end)

  it("takes advice, and writes parts to the disk", function()
    assert.is_true(file:fadvise("sequential"))
    assert.is_true(file:fadvise("dontneed", 0, 4096))
    assert.has_error(function() file:fadvise "hurry" end)
    assert.is_true(file:sync_file_range(0, 5))
  end)

  it("holds locks, for which others wait", function()
    local other = assert(fs.open(name))
    assert.is_true(file:lock("exclusive"))
    assert.equal("EAGAIN", code_of(other:lock("shared", 0)))
    assert.equal("ETIMEDOUT", code_of(other:lock("shared", 0.02)))
    assert.is_true(file:unlock())
    assert.is_true(other:lock("shared"))
    assert.is_true(file:lock("shared", 0))
    other:close()
  end)

  it("makes nodes of each kind that anybody may make", function()
    assert.is_true(fs.mkfifo(dir:path "fifo", 384))
    assert.equal("fifo", fs.stat(dir:path "fifo", "type"))
    assert.equal("EEXIST", code_of(fs.mkfifo(dir:path "fifo")))
    assert.is_true(fs.mknod(dir:path "socket", "socket"))
    assert.equal("socket", fs.lstat(dir:path "socket", "type"))
    assert.is_true(fs.mknod(dir:path "plain", "file"))
    assert.is_true(fs.stat(dir:path "plain", "is_file"))
  end)
end)
