local halo = require "halo"
local fs = halo.fs
local eventually = require "spec.support.eventually"
local temp = require "spec.support.temp"
local tree = require "spec.support.tree"
require "spec.support.assertions"

local function octal(digits)
  return tonumber(digits, 8)
end

local function names(entries)
  local list = {}
  for i, entry in ipairs(entries) do
    list[i] = entry.name .. " " .. entry.type
  end
  table.sort(list)
  return list
end

describe("fs.at", function()
  local dir = temp.dir()
  local at

  before_each(function()
    at = assert(fs.at(dir.root))
  end)

  after_each(function()
    at:close()
  end)

  it("opens a directory, which is closed once", function()
    local other = assert(fs.at(dir.root))
    assert.equal(("dir (%s)"):format(dir.root), tostring(other))
    assert.is_true(other:close())
    assert.equal(("dir (closed, %s)"):format(dir.root), tostring(other))
    assert.is_nil(other:close())
    assert.equal("EBADF", select(3, other:stat "."))
    assert.equal("EBADF", select(3, other:open "file"))
  end)

  it("refuses what is none", function()
    local file = dir:file "file"
    assert.refused("ENOTDIR: not a directory: " .. file, fs.at(file))
    assert.refused("ENOENT: no such file or directory: " .. dir:path "none", fs.at(dir:path "none"))
    assert.refused("ENOTDIR: not a directory: file", at:at "file")
    assert.misuse("bad argument #1 to 'at' (path (a string) expected, got nil)",
      function() fs.at() end)
    assert.misuse("bad argument #1 to 'at' (path (a string) expected, got number)",
      function() at:at(1) end)
  end)

  it("takes an open file, which is closed on its own", function()
    tree.make(dir.root, { "a/x" })
    local file = assert(fs.open(dir:path "a", fs.flags.DIRECTORY))
    local sub = assert(fs.at(file))
    assert.is_true(file:close())
    assert.same({ "x file" }, names(sub:readdir()))
    assert.is_true(sub:close())
  end)

  it("stays with the directory when its name changes", function()
    tree.make(dir.root, { "old/sub/" })
    local sub = assert(at:at "old")
    assert(os.rename(dir:path "old", dir:path "new"))
    tree.make(dir.root, { "old/" })
    assert.is_true(sub:mkdir "made")
    assert.is_true(sub:close())
    assert.same({ "new/", "new/made/", "new/sub/", "old/" }, tree.list(dir.root))
  end)

  it("reaches what no path can say", function()
    local name, here = ("x"):rep(200), at
    for _ = 1, 30 do
      assert.is_true(here:mkdir(name))
      local below = assert(here:at(name))
      if here ~= at then
        here:close()
      end
      here = below
    end
    local file = assert(here:create "file")
    file:write "deep"
    file:close()
    assert.equal(4, here:stat("file", "size"))
    here:close()
  end)

  it("opens and creates files", function()
    local file = assert(at:create("file", octal "600"))
    file:write "content"
    file:close()
    assert.equal(octal "100600", at:stat("file", "mode"))
    file = assert(at:open "file")
    assert.equal("content", file:read(99))
    file:close()
    assert.refused("EEXIST: file exists: file", at:open("file", "wx"))
    assert.refused("ENOENT: no such file or directory: none", at:open "none")
    assert.equal("content", dir:read "file")
  end)

  it("tells what is there", function()
    tree.make(dir.root, { "file=12345", "link -> file", "sub/x", "pipe|", "dangling -> none" })
    assert.equal(5, at:stat "file".size)
    assert.equal("file", at:stat("link", "type"))
    assert.equal("symlink", at:lstat("link", "type"))
    assert.is_true(at:lstat "link".is_symlink)
    assert.equal("file", at:readlink "link")
    assert.same({ "dangling symlink", "file file", "link symlink", "pipe fifo", "sub dir" },
      names(at:readdir()))
    assert.same({ "x file" }, names(at:readdir "sub"))
    assert.is_true(at:exists "file")
    assert.is_false(at:exists "none")
    assert.is_false(at:exists "file/x")
    assert.is_false(at:exists "dangling")
    assert.is_true(at:access("file", "rw"))
    assert.refused("EACCES: permission denied: file", at:access("file", "x"))
    assert.refused("ENOENT: no such file or directory: none", at:stat "none")
    assert.refused("EINVAL: invalid argument: file", at:readlink "file")
    assert.misuse("bad argument #2 to 'access' ('q' where any of r, w and x are expected)",
      function() at:access("a", "q") end)
  end)

  it("makes, renames and removes", function()
    assert.is_true(at:mkdir("sub", octal "700"))
    assert.is_true(at:mkfifo("sub/pipe", octal "600"))
    assert.is_true(at:symlink("../target", "sub/link"))
    at:create("a"):close()
    assert.is_true(at:link("a", "sub/b"))
    assert.is_true(at:rename("a", "sub/c"))
    assert.same({ "sub/", "sub/b", "sub/c", "sub/link -> ../target", "sub/pipe|" },
      tree.list(dir.root))
    assert.refused("EEXIST: file exists: sub/b -> sub/c",
      at:rename("sub/b", "sub/c", { noreplace = true }))
    assert.is_true(at:rename("sub/link", "sub/pipe", { exchange = true }))
    assert.equal("fifo", at:lstat("sub/link", "type"))
    for _, name in ipairs { "b", "c", "link", "pipe" } do
      assert.is_true(at:remove("sub/" .. name))
    end
    assert.refused("EISDIR: is a directory: sub", at:remove "sub")
    assert.is_true(at:rmdir "sub")
    assert.same({}, tree.list(dir.root))
  end)

  it("reads whole files, FIFOs included, and copies them", function()
    tree.make(dir.root, { "sub/file=content", "pipe|" })
    assert.equal("content", at:readfile "sub/file")
    local buffer = halo.buffer(10)
    assert.equal(7, at:readfile_into("sub/file", buffer))
    assert.equal("content", buffer:string(0, 7))
    local reading = halo.spawn(at.readfile, at, "pipe")
    assert(fs.writefile(dir:path "pipe", "through"))
    assert.equal("through", reading:join())
    assert.equal(7, at:copy("sub/file", "copy", { mode = true }))
    assert.equal("content", at:readfile "copy")
    assert.refused("EEXIST: file exists: sub/file -> copy",
      at:copy("sub/file", "copy", { exclusive = true }))
    assert.refused("ENOENT: no such file or directory: none", at:readfile "none")
    assert.misuse("bad argument #3 to 'copy' (no option 'no_link', but exclusive, mode, owner, "
      .. "reflink, times, xattrs)", function() at:copy("a", "b", { no_link = true }) end)
  end)

  it("makes nodes of the kinds that anybody may make", function()
    assert.is_true(at:mknod("socket", "socket", octal "600"))
    assert.equal("socket", at:lstat("socket", "type"))
    assert.misuse("bad argument #2 to 'mknod' ('file', 'fifo', 'socket', 'char' or 'block' "
      .. "expected)", function() at:mknod("x", "nope") end)
  end)

  ---What fs has and a Dir has not.
  local without = {
    realpath = "what it says is no path below the directory",
    chdir = "it is the process's", cwd = "it is the process's", umask = "it is the process's",
    sync = "it takes no path",
  }

  ---The names of the calls of fs that take a path: all but those that a File has.
  local function calls_by_path()
    local of_file = require("halo.core").File
    local both = { stat = true, chmod = true, chown = true, utime = true, truncate = true,
      statfs = true, getxattr = true, setxattr = true, listxattr = true, removexattr = true,
      lines = true }
    local list = {}
    for name in pairs(getmetatable(fs).modules) do
      assert(fs[name], name)
    end
    for name, value in pairs(fs) do
      local by_path = both[name] or not (of_file[name] or of_file[name:sub(2)])
      if type(value) == "function" and by_path and not without[name] then
        list[#list + 1] = name
      end
    end
    table.sort(list)
    return list
  end

  it("has every call by path", function()
    local missing = {}
    for _, name in ipairs(calls_by_path()) do
      if not at[name] then
        missing[#missing + 1] = name
      end
    end
    assert.same({}, missing)
  end)

  it("has an annotation of each method", function()
    local source = fs.readfile "lua/halo/fs/at.lua"
    for _, name in ipairs(calls_by_path()) do
      if at[name] then
        local field = source:find("---@field " .. name .. " async fun(self", 1, true)
        assert.is_truthy(field or source:find("function Dir:" .. name .. "(", 1, true), name)
      end
    end
  end)

  it("changes modes, owners and times", function()
    tree.make(dir.root, { "file", "link -> file" })
    assert.is_true(at:chmod("file", octal "4711"))
    assert.equal(octal "104711", at:stat("file", "mode"))
    assert.is_true(at:utime("link", { 1, 2 }, { 3, 4 }))
    assert.is_true(at:lutime("link", 5, 6))
    local file, link = at:stat "file", at:lstat "link"
    assert.same({ 1, 2, 3, 4 }, { file.atime, file.atime_nsec, file.mtime, file.mtime_nsec })
    assert.same({ 5, 6 }, { link.atime, link.mtime })
    local uid, gid = file.uid, file.gid
    assert.is_true(at:chown("link", uid, gid))
    assert.is_true(at:lchown("link", nil, gid))
    assert.refused("ENOENT: no such file or directory: none", at:chown("none", uid))
  end)

  it("makes what exists for a while in the directory", function()
    assert.is_true(at:mkdir "sub")
    local file, path = at:mkstemp "sub/name-"
    assert.matches("^sub/name%-%w+$", path)
    assert.is_true(at:exists(path))
    file:close()
    file, path = at:mkstemp()
    assert.matches("^halo%-%w+$", path)
    file:close()
    path = at:mkdtemp "XXXXXXXX"
    assert.matches("^%w%w%w%w%w%w%w%w$", path)
    assert.equal("dir", at:stat(path, "type"))
    local before = #at:readdir()
    file = assert(at:tempfile())
    file:write "x"
    assert.equal(before, #at:readdir())
    file:close()
  end)

  it("finds names by pattern, lines and entries", function()
    tree.make(dir.root, { "a/x.c=one\ntwo", "a/y.h", "b/x.c", "link -> a" })
    assert.same({ "a/x.c", "b/x.c", "link/x.c" }, at:glob "*/*.c")
    assert.same({ "x.c", "y.h" }, at:glob("*", { dir = "a" }))
    local lines, list = {}, {}
    for line in at:lines "a/x.c" do
      lines[#lines + 1] = line
    end
    assert.same({ "one", "two" }, lines)
    for name in at:dir "a" do
      list[#list + 1] = name
    end
    table.sort(list)
    assert.same({ "x.c", "y.h" }, list)
    assert.is_true(at:truncate("link/x.c", 3))
    assert.equal("one", at:readfile "a/x.c")
    assert.equal(at:statfs("a").type, fs.statfs(dir.root).type)
  end)

  it("leaves a File that it was made of what it was", function()
    local file = assert(fs.open(dir.root, fs.flags.DIRECTORY))
    local other = assert(fs.at(file))
    assert.is_truthy(fs.statfs(file))
    assert.misuse("bad argument #1 to 'stat' (path (a string) expected, got userdata)",
      function() fs.stat(file, "size") end)
    other:close()
    file:close()
  end)

  it("takes an absolute path as it is", function()
    assert.equal("char", at:stat("/dev/null", "type"))
  end)

  it("leaves no file that was made exclusively for nobody, although it is closed", function()
    for turns = 0, 30 do
      local place, file = assert(fs.at(dir.root)), nil
      local task = halo.spawn(function()
        file = place:open("new", "wx")
      end)
      for _ = 1, turns do
        halo.yield()
      end
      task:cancel()
      assert.is_true(place:close())
      pcall(task.join, task)
      if file then
        assert(file:close() and os.remove(dir:path "new"))
      end
      eventually("there is no file", function()
        return not dir:has "new"
      end)
    end
  end)

  it("names the function and the argument in misuse", function()
    assert.misuse("bad argument #1 to 'mkdir' (path (a string) expected, got nil)",
      function() at:mkdir() end)
    assert.misuse("bad argument #2 to 'rename' (path (a string) expected, got nil)",
      function() at:rename "a" end)
    assert.misuse("bad argument #1 to 'stat' (the path contains a NUL byte)",
      function() at:stat "a\0b" end)
  end)
end)
