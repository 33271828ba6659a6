local halo = require "halo"
local fs = halo.fs
local command = require "spec.support.command"
local eventually = require "spec.support.eventually"
local posix = require "spec.support.posix"
local tasks = require "spec.support.tasks"
local temp = require "spec.support.temp"
local with_core = require "spec.support.with_core"
local tree = require "spec.support.tree"
require "spec.support.assertions"

local function mode_of(path)
  return fs.stat(path, "mode") % tonumber("10000", 8)
end

describe("fs.writefile", function()
  local dir = temp.dir()

  it("creates a file, or replaces what it has", function()
    assert.is_true(fs.writefile(dir:path("file"), "a long content"))
    assert.equal("a long content", dir:read("file"))
    assert.is_true(fs.writefile(dir:path("file"), "short"))
    assert.equal("short", dir:read("file"))
    assert.is_true(fs.writefile(dir:path("file"), ""))
    assert.equal("", dir:read("file"))
  end)

  it("takes buffers and arrays", function()
    local buffer = halo.buffer(3):set("bcd")
    fs.writefile(dir:path("one"), buffer)
    fs.writefile(dir:path("more"), { "a", buffer, "", "e" })
    fs.writefile(dir:path("none"), {})
    assert.equal("bcd", dir:read("one"))
    assert.equal("abcde", dir:read("more"))
    assert.equal("", dir:read("none"))
  end)

  it("appends where it is asked to", function()
    local path = dir:path("log")
    assert.is_true(fs.writefile(path, "one", { append = true }))
    assert.is_true(fs.writefile(path, "two", { append = true, sync = true }))
    assert.equal("onetwo", dir:read("log"))
  end)

  it("refuses a file that exists where it should be new", function()
    local path = dir:file("file", "old")
    for _, atomic in ipairs { false, true } do
      assert.refused("EEXIST: file exists: " .. path,
        fs.writefile(path, "new", { exclusive = true, atomic = atomic }))
    end
    assert.equal("old", dir:read("file"))
    assert.is_true(fs.writefile(dir:path("a"), "new", { exclusive = true }))
    assert.is_true(fs.writefile(dir:path("b"), "new", { exclusive = true, atomic = true }))
    assert.same({ "a", "b", "file" }, tree.list(dir.root))
  end)

  it("gives new files the permission bits, less the umask", function()
    local before = posix.umask(tonumber("027", 8))
    for _, atomic in ipairs { false, true } do
      local name = tostring(atomic)
      fs.writefile(dir:path(name), "x", { atomic = atomic })
      fs.writefile(dir:path(name .. "2"), "x", { atomic = atomic, perm = tonumber("666", 8) })
      fs.writefile(dir:path(name .. "3"), "x", { atomic = atomic, perm = tonumber("400", 8) })
      assert.equal(tonumber("640", 8), mode_of(dir:path(name)))
      assert.equal(tonumber("640", 8), mode_of(dir:path(name .. "2")))
      assert.equal(tonumber("400", 8), mode_of(dir:path(name .. "3")))
    end
    posix.umask(before)
  end)

  it("is refused with the path", function()
    local missing = dir:path("missing/file")
    local below = dir:file("file") .. "/x"
    for _, atomic in ipairs { false, true } do
      local options = { atomic = atomic }
      assert.refused("ENOENT: no such file or directory: " .. missing,
        fs.writefile(missing, "", options))
      assert.refused("ENOTDIR: not a directory: " .. below, fs.writefile(below, "", options))
      assert.refused("EISDIR: is a directory: " .. dir.root, fs.writefile(dir.root, "", options))
      assert.refused("ENOENT: no such file or directory: ", fs.writefile("", "", options))
      local long = dir:path(("x"):rep(256))
      assert.refused("ENAMETOOLONG: file name too long: " .. long, fs.writefile(long, "", options))
    end
    assert.same({ "file" }, tree.list(dir.root))
  end)

  it("raises misuse before anything is done", function()
    local path = dir:file("file", "old")
    local data = "(string, number, buffer or an array of them expected, got %s)"
    assert.misuse("bad argument #1 to 'writefile' (path (a string) expected, got number)",
      function() fs.writefile(1, "") end)
    assert.misuse("bad argument #1 to 'writefile' (the path contains a NUL byte)",
      function() fs.writefile("\0", "") end)
    assert.misuse("bad argument #2 to 'writefile' " .. data:format "nil",
      function() fs.writefile(path) end)
    assert.misuse("bad argument #2 to 'writefile' " .. data:format "boolean",
      function() fs.writefile(path, true) end)
    assert.misuse("bad argument #2 to 'writefile' (element 2 is no string, number or buffer)",
      function() fs.writefile(path, { "", true }) end)
    assert.misuse("bad argument #3 to 'writefile' (table of options expected, got string)",
      function() fs.writefile(path, "", "a") end)
    local perm = "bad argument #3 to 'writefile' (permissions are a whole number from 0 to 4095 "
      .. "(07777), got %s)"
    for _, value in ipairs { -1, 4096, 0.5, 0 / 0 } do
      assert.misuse(perm:format(value), function() fs.writefile(path, "", { perm = value }) end)
    end
    assert.misuse("bad argument #3 to 'writefile' (append and atomic exclude each other)",
      function() fs.writefile(path, "", { append = true, atomic = true }) end)
    assert.equal("old", dir:read("file"))
  end)

  it("says so where the disk is full", function()
    assert.refused("ENOSPC: no space left on device: /dev/full", fs.writefile("/dev/full", "x"))
  end)
end)

describe("fs.writefile with atomic", function()
  local dir = temp.dir()
  local atomic = { atomic = true }

  it("replaces a file at once, and leaves nothing behind", function()
    local path = dir:file("file", "old")
    local old = io.open(path)
    assert.is_true(fs.writefile(path, "new", atomic))
    assert.equal("old", old:read("*a"))
    old:close()
    assert.equal("new", dir:read("file"))
    assert.same({ "file" }, tree.list(dir.root))
  end)

  it("never shows a part of the content", function()
    local path = dir:file("file", "0")
    local sizes = { [1] = true }
    local reading = halo.spawn(function()
      while not sizes[2] do
        sizes[#assert(fs.readfile(path))] = true
      end
    end)
    for i = 1, 20 do
      assert.is_true(fs.writefile(path, ("x"):rep(i * 100000), { atomic = true, sync = false }))
      halo.yield()
    end
    fs.writefile(path, "xx", { atomic = true, sync = false })
    reading:join()
    for size in pairs(sizes) do
      assert.is_true(size <= 2 or size % 100000 == 0)
    end
  end)

  it("keeps the permission bits of the file that it replaces", function()
    local path = dir:file("file")
    for _, mode in ipairs { "0600", "0755", "4711", "0444" } do
      fs.chmod(path, tonumber(mode, 8))
      assert.is_true(fs.writefile(path, "x", { atomic = true, perm = tonumber("777", 8) }))
      assert.equal(tonumber(mode, 8), mode_of(path))
    end
  end)

  it("keeps the owner where that is allowed", function()
    local path = dir:file("file")
    if not fs.chown(path, 1234, 5678) then
      pending("only root gives files away")
      return
    end
    fs.chmod(path, tonumber("6755", 8))
    assert.is_true(fs.writefile(path, "x", atomic))
    assert.equal(1234, fs.stat(path, "uid"))
    assert.equal(5678, fs.stat(path, "gid"))
    assert.equal(tonumber("6755", 8), mode_of(path))
    with_core("fchown", function()
      return nil, "EPERM: operation not permitted: x", "EPERM"
    end, function()
      assert.is_true(fs.writefile(path, "x", atomic))
    end)
    assert.equal(0, fs.stat(path, "uid"))
    assert.equal(tonumber("755", 8), mode_of(path))
  end)

  it("follows symbolic links, and leaves them", function()
    tree.make(dir.root, { "a/b/", "a/b/file=old", "a/link -> b/link", "a/b/link -> file" })
    dir:symlink("absolute", dir:path("a/link"))
    dir:symlink("dangling", "a/fresh")
    assert.is_true(fs.writefile(dir:path("absolute"), "new", atomic))
    assert.is_true(fs.writefile(dir:path("dangling"), "fresh", atomic))
    assert.equal("new", dir:read("a/b/file"))
    assert.equal("fresh", dir:read("a/fresh"))
    assert.same({ "a/", "a/b/", "a/b/file", "a/b/link -> file", "a/fresh", "a/link -> b/link",
      "absolute -> " .. dir:path("a/link"), "dangling -> a/fresh" }, tree.list(dir.root))
    local loop = dir:symlink("loop", "loop")
    assert.refused("ELOOP: too many levels of symbolic links: " .. loop,
      fs.writefile(loop, "", atomic))
  end)

  it("takes a path without a directory", function()
    local script = 'halo.fs.writefile("file", "here", { atomic = true })'
    local line = command.quote("cd", dir.root) .. " && "
      .. command.halo("-e", 'halo = require "halo" ' .. script)
    assert.same({ "", "", 0 }, { command.run(line) })
    assert.equal("here", dir:read("file"))
  end)

  it("replaces nothing but plain files", function()
    local path = dir:fifo("fifo")
    assert.refused("EINVAL: invalid argument: " .. path, fs.writefile(path, "", atomic))
    assert.refused("EINVAL: invalid argument: /dev/null", fs.writefile("/dev/null", "", atomic))
    assert.same({ "fifo|" }, tree.list(dir.root))
  end)

  it("leaves nothing behind where a step is refused", function()
    local path = dir:file("file", "old")
    for _, step in ipairs { "fchmod", "fsync", "rename" } do
      with_core(step, function()
        return nil, "EIO: input/output error: " .. step, "EIO"
      end, function()
        assert.refused("EIO: input/output error: " .. path, fs.writefile(path, "new", atomic))
      end)
      assert.equal("old", dir:read("file"))
      assert.same({ "file" }, tree.list(dir.root))
    end
  end)

  it("leaves nothing behind where not all can be written", function()
    local path = dir:file("file", "old")
    local script = [[
      local fs = require("halo").fs
      print(fs.writefile(arg[1], ("x"):rep(1e6), { atomic = true }))
      print(fs.writefile(arg[1], ("x"):rep(1e6)))]]
    local line = "ulimit -f 100; " .. command.halo("-e", script, "-", path)
    local refusal = ("nil\tEFBIG: file too large: %s\tEFBIG\n"):format(path)
    assert.same({ refusal .. refusal, "", 0 }, { command.run(line) })
    assert.same({ "file" }, tree.list(dir.root))
  end)

  it("says so where closing the new file fails", function()
    local path = dir:file("file", "old")
    local first = true
    with_core("close", function(close, file)
      local results = { close(file) }
      if first then
        first = false
        return nil, "EDQUOT: disk quota exceeded: x", "EDQUOT"
      end
      return unpack(results)
    end, function()
      assert.refused("EDQUOT: disk quota exceeded: " .. path, fs.writefile(path, "new", atomic))
    end)
    assert.equal("old", dir:read("file"))
    assert.same({ "file" }, tree.list(dir.root))
  end)

  it("syncs the file before it gets its name, and the directory after", function()
    local steps = {}
    local function note(step)
      return function(original, ...)
        table.insert(steps, step)
        return original(...)
      end
    end
    with_core("fsync", note "fsync", function()
      with_core("rename", note "rename", function()
        assert.is_true(fs.writefile(dir:path("file"), "x", atomic))
        assert.is_true(fs.writefile(dir:path("file"), "x", { atomic = true, sync = false }))
      end)
    end)
    assert.same({ "fsync", "rename", "fsync", "rename" }, steps)
  end)

  it("says so where the directory cannot be synced, except where it has no such thing", function()
    local path, code = dir:path("file"), nil
    local function refuse(fsync, file)
      if file:path() == dir.root .. "/" then
        return nil, code .. ": some text: x", code
      end
      return fsync(file)
    end
    with_core("fsync", refuse, function()
      code = "EINVAL"
      assert.is_true(fs.writefile(path, "x", atomic))
      code = "EIO"
      assert.refused("EIO: some text: " .. path, fs.writefile(path, "x", atomic))
    end)
  end)

  it("works in a directory that may be written and not read", function()
    local box = dir:path "box"
    local line = command.halo("-e", ([[
      local fs, path = halo.fs, %q
      assert(fs.writefile(path, "old", { atomic = true }))
      assert(fs.writefile(path, "new", { atomic = true, sync = true }))
      local _, _, code = fs.writefile(path, "x", { atomic = true, exclusive = true })
      print(fs.readfile(path), code, select(3, fs.readdir(path:match "^(.*)/")))]])
      :format(box .. "/file"))
    assert.is_true(fs.mkdir(box))
    assert.is_true(fs.chmod(box, tonumber("300", 8)))
    if fs.stat(box, "uid") == 0 then -- to whom nothing is refused
      assert.is_true(fs.chmod(dir.root, tonumber("711", 8)))
      assert.is_true(fs.chown(box, command.USER, command.USER))
      line = command.as_user(line)
    end
    local stdout, stderr, status = command.run(line)
    assert.is_true(fs.chmod(box, tonumber("700", 8)))
    assert.same({ "new\tEEXIST\tEACCES\n", "", 0 }, { stdout, stderr, status })
    assert.same({ "file" }, tree.list(box))
  end)

  it("is exclusive where the file system can only link", function()
    local path = dir:path("file")
    with_core("rename", function()
      return nil, "EINVAL: invalid argument: x", "EINVAL"
    end, function()
      local options = { atomic = true, exclusive = true }
      assert.is_true(fs.writefile(path, "first", options))
      assert.refused("EEXIST: file exists: " .. path, fs.writefile(path, "second", options))
    end)
    assert.equal("first", dir:read("file"))
    assert.same({ "file" }, tree.list(dir.root))
  end)

  for _, step in ipairs { "open", "fchmod", "fsync", "close", "rename" } do
    it("leaves nothing behind where it is cancelled in " .. step, function()
      local path = dir:file("file", "old")
      local task
      with_core(step, function(original, ...)
        if halo.current() == task then
          task:cancel()
        end
        return original(...)
      end, function()
        task = halo.spawn(fs.writefile, path, "new", atomic)
        assert.is_true(tasks.ends_cancelled(task))
      end)
      eventually("nothing is left", function()
        return #tree.list(dir.root) == 1
      end)
      assert.is_truthy(({ old = true, new = true })[dir:read("file")])
    end)
  end

  it("leaves nothing behind wherever it is cancelled", function()
    local path = dir:file("file", "old")
    for turns = 0, tasks.rounds(40) do
      local task = halo.spawn(fs.writefile, path, "new", atomic)
      for _ = 1, turns do
        halo.yield()
      end
      task:cancel()
      pcall(task.join, task)
    end
    eventually("nothing is left", function()
      return #tree.list(dir.root) == 1
    end)
  end)

  describe("with atomic and xattrs", function()
    ---Whether the file system and the user may have it.
    local function has(path, name, value)
      return fs.setxattr(path, name, value) or false
    end

    ---An access control list as the kernel has it: tags, rights and, of a user, a number.
    local function acl(entries)
      local text = "\2\0\0\0"
      for _, entry in ipairs(entries) do
        text = text .. string.char(entry[1], 0, entry[2], 0)
          .. (entry[3] and string.char(entry[3], 0, 0, 0) or ("\255"):rep(4))
      end
      return text
    end

    it("keeps the extended attributes of what is replaced", function()
      local path = dir:file("file", "old")
      if not has(path, "user.note", "kept") then
        pending "no extended attributes here"
      end
      local others = { ["user.empty"] = "", ["user.bytes"] = "a\0b" }
      local privileged = {
        ["system.posix_acl_access"] = acl { { 1, 6 }, { 2, 4, 1 }, { 4, 4 }, { 16, 4 }, { 32, 0 } },
        ["security.capability"] = "\1\0\0\2\0\4" .. ("\0"):rep(14),
      }
      for name, value in pairs(privileged) do
        others[name] = has(path, name, value) and fs.getxattr(path, name) or nil
      end
      for name, value in pairs(others) do
        fs.setxattr(path, name, value)
      end
      local mode = mode_of(path)
      dir:symlink("link", "file")
      for _, name in ipairs { "file", "link" } do
        assert.is_true(fs.writefile(dir:path(name), "new", { atomic = true, xattrs = true }))
        assert.equal("kept", fs.getxattr(path, "user.note"))
        for other, value in pairs(others) do
          assert.equal(value, fs.getxattr(path, other), other)
        end
        assert.equal(mode, mode_of(path))
      end
      assert.is_true(fs.writefile(path, "new", { atomic = true }))
      assert.is_nil((fs.getxattr(path, "user.note")))
    end)

    it("fails where one cannot be kept, and leaves the old file", function()
      local path = dir:file("file", "old")
      if not has(path, "user.note", "kept") then
        pending "no extended attributes here"
      end
      with_core("setxattr", function()
        return nil, "ENOSPC: no space left on device: file", "ENOSPC"
      end, function()
        assert.refused("ENOSPC: no space left on device: " .. path,
          fs.writefile(path, "new", { atomic = true, xattrs = true }))
      end)
      assert.equal("old", dir:read "file")
      assert.same({ "file" }, tree.list(dir.root))
    end)

    it("makes a new file as any other", function()
      assert.is_true(fs.writefile(dir:path "new", "x", { atomic = true, xattrs = true }))
      assert.equal("x", dir:read "new")
    end)

    it("is for atomic writes", function()
      assert.misuse("bad argument #3 to 'writefile' (xattrs is for atomic writes; others keep them "
        .. "anyway)", function() fs.writefile(dir:path "x", "", { xattrs = true }) end)
    end)
  end)
end)
