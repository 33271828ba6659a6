-- Which file is which, where inodes are numbers that a double cannot tell apart: those of
-- spec/support/slow_fuse.c begin at 2^60.

local halo = require "halo"
local fuse = require "spec.support.fuse"

local fs = halo.fs

describe("files whose inodes are above 2^53", function()
  local mount, dir = fuse.mount(0)
  if not mount then
    it("are told apart", function()
      pending(dir)
    end)
    return
  end

  it("have an ino that is the same, and an id of their own", function()
    local one, two = fs.stat(mount.path .. "/file1"), fs.stat(mount.path .. "/file2")
    assert.equal(one.ino, two.ino)
    assert.not_equal(one.id, two.id)
  end)

  it("stay apart in a copy of their tree, where each has several names", function()
    assert.is_true(fs.copytree(mount.path .. "/twins", dir:path "copy"))
    for _, name in ipairs { "1", "2" } do
      assert.equal((name):rep(64 * 1024), dir:read("copy/file" .. name))
    end
    assert.not_equal(fs.stat(dir:path "copy/file1", "id"), fs.stat(dir:path "copy/file2", "id"))
  end)

  it("are seen to replace each other", function()
    local link = dir:symlink("link", mount.path .. "/file1")
    local before = fs.stat(link)
    local changes = fs.poll(link, 0.001)
    assert(fs.rename(dir:symlink("other", mount.path .. "/file2"), link))
    local now, was = halo.timeout(5, changes)
    assert.equal(before, was)
    assert.not_equal(before.id, now.id)
    for _, field in ipairs { "size", "mode", "mtime", "ctime" } do
      assert.equal(before[field], now[field])
    end
  end)
end)
