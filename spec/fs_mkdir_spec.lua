local halo = require "halo"
local fs = halo.fs
local temp = require "spec.support.temp"
local tree = require "spec.support.tree"
require "spec.support.assertions"

local function octal(digits)
  return tonumber(digits, 8)
end

describe("fs.mkdir", function()
  local dir = temp.dir()

  it("makes one directory", function()
    assert.is_true(fs.mkdir(dir:path "a"))
    assert.is_true(fs.mkdir(dir:path "b", octal "700"))
    assert.is_true(fs.mkdir(dir:path "c", { perm = octal "711" }))
    assert.equal(octal "40700", fs.stat(dir:path "b", "mode"))
    assert.equal(octal "40711", fs.stat(dir:path "c", "mode"))
    assert.refused("EEXIST: file exists: " .. dir:path "a", fs.mkdir(dir:path "a"))
    assert.refused("ENOENT: no such file or directory: " .. dir:path "x/y",
      fs.mkdir(dir:path "x/y", { perm = 0 }))
  end)

  describe("with parents", function()
    it("makes those that are missing", function()
      assert.is_true(fs.mkdir(dir:path "a/b//c/", { parents = true, perm = octal "700" }))
      assert.same({ "a/", "a/b/", "a/b/c/" }, tree.list(dir.root))
      assert.equal(octal "40700", fs.stat(dir:path "a/b/c", "mode"))
      assert.equal(octal "40755", fs.stat(dir:path "a/b", "mode"))
    end)

    it("is content with what is there", function()
      dir:symlink("link", ".")
      for _, path in ipairs { "", "link", "link/new/deep", "new/../new/other", "." } do
        assert.is_true(fs.mkdir(dir:path(path), { parents = true }))
      end
      assert.is_true(fs.mkdir("/", { parents = true }))
      assert.is_true(fs.mkdir("spec/support", { parents = true }))
      assert.same({ "link -> .", "new/", "new/deep/", "new/other/" }, tree.list(dir.root))
    end)

    it("refuses what is no directory", function()
      local file = dir:file "file"
      dir:symlink("nowhere", "missing")
      assert.refused("EEXIST: file exists: " .. file, fs.mkdir(file, { parents = true }))
      assert.refused("ENOTDIR: not a directory: " .. file .. "/a/b",
        fs.mkdir(file .. "/a/b", { parents = true }))
      assert.refused("EEXIST: file exists: " .. dir:path "nowhere",
        fs.mkdir(dir:path "nowhere/a", { parents = true }))
      assert.refused("ENOENT: no such file or directory: ", fs.mkdir("", { parents = true }))
    end)

    it("may be called for the same path by many", function()
      local path = dir:path(("deep/"):rep(40))
      halo.map({ 1, 2, 3, 4, 5, 6, 7, 8 }, function()
        assert(fs.mkdir(path, { parents = true }))
      end)
      assert.equal(40, #tree.list(dir.root))
    end)
  end)

  it("takes a path and bits", function()
    assert.misuse("bad argument #1 to 'mkdir' (path (a string) expected, got nil)",
      function() fs.mkdir(nil, { parents = true }) end)
    assert.misuse("bad argument #1 to 'mkdir' (the path contains a NUL byte)",
      function() fs.mkdir("a\0b", { parents = true }) end)
    assert.misuse("bad argument #2 to 'mkdir' (permissions are a whole number from 0 to 4095 "
      .. "(07777), got 4096)", function() fs.mkdir("a", { perm = 4096 }) end)
  end)
end)
