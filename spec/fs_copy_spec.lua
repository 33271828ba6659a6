local halo = require "halo"
local fs = halo.fs
local command = require "spec.support.command"
local posix = require "spec.support.posix"
local temp = require "spec.support.temp"
local tree = require "spec.support.tree"
require "spec.support.assertions"

local function octal(digits)
  return tonumber(digits, 8)
end

---Fails where diff(1) tells two trees apart.
local function assert_alike(a, b)
  local stdout, stderr = command.run(command.quote("diff", "-r", "--no-dereference", a, b))
  assert.equal("", stdout .. stderr)
end

---For what only root may read or remove, or give to others.
local function needs_root()
  if command.run "id -u" ~= "0\n" then
    pending "only root may do that"
  end
end

describe("fs.copy", function()
  local dir = temp.dir()

  it("copies a file and says how long it is", function()
    local from = dir:file("from", "content")
    assert.equal(7, fs.copy(from, dir:path "to"))
    assert.equal("content", dir:read "to")
    assert.equal(0, fs.copy(dir:file "empty", dir:path "to"))
    assert.equal("", dir:read "to")
  end)

  it("copies all, on whichever side of a small file's size it is", function()
    for size = 65535, 65537 do
      local content = ("0123456789"):rep(6554):sub(1, size)
      local from = dir:file("from", content)
      local pool = halo.stats().pool
      assert.equal(size, fs.copy(from, dir:path "to"))
      assert.is_true(size <= 65536 or halo.stats().pool == pool + 1, "a long copy goes to the pool")
      assert.is_true(dir:read "to" == content)
    end
  end)

  it("leaves devices, which may be slow to take it, to the pool", function()
    local from = dir:file("from", "content")
    local pool = halo.stats().pool
    assert.equal(7, fs.copy(from, "/dev/null"))
    assert.equal(pool + 1, halo.stats().pool)
  end)

  it("keeps the bits that the umask leaves, or all of them", function()
    local from = dir:file "from"
    assert(fs.chmod(from, octal "4777"))
    local mask = posix.umask(octal "027")
    local ok = fs.copy(from, dir:path "masked") and fs.copy(from, dir:path "all", { mode = true })
    posix.umask(mask)
    assert.truthy(ok)
    assert.equal(octal "100750", fs.stat(dir:path "masked", "mode"))
    assert.equal(octal "104777", fs.stat(dir:path "all", "mode"))
    assert(fs.chmod(dir:path "masked", octal "600"))
    assert(fs.copy(from, dir:path "masked"))
    assert.equal(octal "100600", fs.stat(dir:path "masked", "mode"))
  end)

  it("keeps the times where that is asked for", function()
    local from = dir:file "from"
    assert(fs.utime(from, { 1, 2 }, { 3, 4 }))
    assert(fs.copy(from, dir:path "to", { times = true }))
    local stat = fs.stat(dir:path "to")
    assert.same({ 1, 2, 3, 4 }, { stat.atime, stat.atime_nsec, stat.mtime, stat.mtime_nsec })
    assert(fs.copy(from, dir:path "now"))
    assert.is_true(fs.stat(dir:path "now", "mtime") > 1e9)
  end)

  it("replaces a file, unless it has to be exclusive", function()
    local from, to = dir:file("from", "new"), dir:file("to", "old and longer")
    assert.refused(("EEXIST: file exists: %s -> %s"):format(from, to),
      fs.copy(from, to, { exclusive = true }))
    assert.equal("old and longer", dir:read "to")
    assert.equal(3, fs.copy(from, to))
    assert.equal("new", dir:read "to")
  end)

  it("shares the data, or does not, as it is told", function()
    local from, to = dir:file("from", ("x"):rep(100000)), dir:path "to"
    local stdout, _, status = command.run(command.quote("cp", "--reflink=always", from, to))
    local size, _, code = fs.copy(from, to, { reflink = true })
    assert.equal(status == 0 and 100000 or nil, size, stdout)
    assert.equal(status ~= 0 and "EOPNOTSUPP" or nil, code)
    assert.equal(100000, fs.copy(from, to, { reflink = false }))
    assert.equal(dir:read "from", dir:read "to")
  end)

  -- Files of /proc are on another file system, and none of them can be shared.
  it("leaves nothing behind where the data cannot be shared", function()
    local from, to = "/proc/self/mounts", dir:path "to"
    for _, options in ipairs { { reflink = true }, { reflink = true, exclusive = true } } do
      local size, _, code = fs.copy(from, to, options)
      assert.is_nil(size)
      assert.equal("EXDEV", code)
      assert.is_false(fs.exists(to))
    end
    dir:file("to", "old")
    dir:symlink("link", "to")
    for _, name in ipairs { to, dir:path "link" } do
      assert.is_nil((fs.copy(from, name, { reflink = true })))
      assert.equal("old", dir:read "to")
    end
    assert.equal("symlink", fs.lstat(dir:path "link", "type"))
  end)

  it("leaves holes as holes", function()
    local from, to = dir:path "from", dir:path "to"
    command.run(("truncate -s 64M '%s' && printf x | dd of='%s' bs=1 seek=1000000 conv=notrunc")
      :format(from, from))
    assert.equal(64 * 1024 * 1024, fs.copy(from, to, { reflink = false }))
    assert.is_true(fs.stat(to, "blocks") < 1000)
    assert.equal("", (command.run(command.quote("cmp", from, to))))
  end)

  it("copies what has no size, and not itself", function()
    local count = fs.copy("/proc/self/mounts", dir:path "mounts")
    assert.is_true(count > 10)
    assert.equal(count, #dir:read "mounts")
    local from = dir:file("from", "content")
    dir:symlink("link", "from")
    assert.refused(("EINVAL: invalid argument: %s -> %s"):format(from, dir:path "link"),
      fs.copy(from, dir:path "link"))
    assert.equal("content", dir:read "from")
  end)

  it("refuses what is no file", function()
    local from = dir:file "from"
    assert.refused(("EISDIR: is a directory: %s -> %s"):format(dir.root, dir:path "to"),
      fs.copy(dir.root, dir:path "to"))
    assert.refused(("EISDIR: is a directory: %s -> %s"):format(from, dir.root),
      fs.copy(from, dir.root))
    assert.refused(("EINVAL: invalid argument: %s -> %s"):format(dir:fifo "pipe", dir:path "to"),
      fs.copy(dir:path "pipe", dir:path "to"))
    assert.refused(("ENOENT: no such file or directory: %s -> to"):format(dir:path "none"),
      fs.copy(dir:path "none", "to"))
  end)

  it("takes two paths and options", function()
    assert.misuse("bad argument #1 to 'copy' (path (a string) expected, got nil)",
      function() fs.copy() end)
    assert.misuse("bad argument #2 to 'copy' (path (a string) expected, got nil)",
      function() fs.copy("a", nil) end)
    assert.misuse("bad argument #3 to 'copy' (table of options expected, got boolean)",
      function() fs.copy("a", "b", true) end)
  end)
end)

describe("fs.copytree", function()
  local dir = temp.dir()

  it("copies files, directories, links and what else there is", function()
    tree.make(dir:path "from", { "a/b/c=content", "a/.hidden=x", "empty/", "pipe|", "file=y",
      "link -> a/b", "dangling -> nowhere", "absolute -> /dev/null" })
    posix.mksocket(dir:path "from/socket")
    assert.is_true(fs.copytree(dir:path "from", dir:path "to"))
    assert.same(tree.list(dir:path "from"), tree.list(dir:path "to"))
    assert.equal("content", dir:read "to/a/b/c")
  end)

  it("copies many", function()
    assert.is_true(fs.copytree("/usr/include", dir:path "to"))
    assert_alike("/usr/include", dir:path "to")
  end)

  it("keeps names of one file together", function()
    tree.make(dir:path "from", { "a/1=content", "b/", "c/d/" })
    for i = 2, 30 do
      local holder = i % 2 == 0 and "b" or "c/d"
      posix.link(dir:path "from/a/1", dir:path(("from/%s/%d"):format(holder, i)))
    end
    posix.link(dir:path "from/a/1", dir:path "outside")
    assert.is_true(fs.copytree(dir:path "from", dir:path "to"))
    local stat = fs.stat(dir:path "to/a/1")
    assert.equal(30, stat.nlink)
    assert.equal(stat.ino, fs.stat(dir:path "to/c/d/29", "ino"))
    assert.equal("content", dir:read "to/b/2")
  end)

  describe("keeps modes", function()
    local function modes(root)
      return (command.run(("cd '%s' && find . -printf '%%P %%m\\n' | sort"):format(root)))
    end

    before_each(function()
      tree.make(dir:path "from", { "open/file", "closed/file", "none/" })
      command.run(("cd '%s' && chmod 777 open && chmod 4666 open/file && chmod 500 closed && "
        .. "chmod 400 closed/file && chmod 0 none && chmod 750 ."):format(dir:path "from"))
    end)

    it("less the umask", function()
      needs_root()
      local mask = posix.umask(octal "027")
      local ok = fs.copytree(dir:path "from", dir:path "to")
      posix.umask(mask)
      assert.is_true(ok)
      assert.equal(" 750\nclosed 500\nclosed/file 400\nnone 0\nopen 750\nopen/file 640\n",
        modes(dir:path "to"))
    end)

    it("as they are where that is asked for", function()
      needs_root()
      assert.is_true(fs.copytree(dir:path "from", dir:path "to", { mode = true }))
      assert.equal(modes(dir:path "from"), modes(dir:path "to"))
    end)
  end)

  it("keeps times where that is asked for", function()
    tree.make(dir:path "from", { "a/b/file", "a/link -> b", "pipe|" })
    command.run(("cd '%s' && find . -exec touch -h -d @12345.5 {} +"):format(dir:path "from"))
    assert.is_true(fs.copytree(dir:path "from", dir:path "to", { times = true }))
    for _, name in ipairs { "", "/a", "/a/b", "/a/b/file", "/a/link", "/pipe" } do
      local stat = fs.lstat(dir:path("to" .. name))
      assert.equal(12345, stat.mtime, name)
      assert.equal(500000000, stat.mtime_nsec, name)
    end
  end)

  it("refuses a name that is taken, unless it may merge", function()
    tree.make(dir.root, { "from/a/x=new", "from/a/y=new", "from/l -> x", "from/d/z=new",
      "to/a/x=old", "to/a/w=old", "to/l=old", "outside/z=old", "to/v -> w" })
    dir:symlink("to/d", "../outside")
    assert(fs.chmod(dir:path "to", octal "711"))
    assert.refused("EEXIST: file exists: " .. dir:path "to",
      fs.copytree(dir:path "from", dir:path "to", { mode = true, times = true }))
    assert.equal(octal "40711", fs.stat(dir:path "to", "mode"))
    local ok, message, code = fs.copytree(dir:path "from", dir:path "to", { merge = true })
    assert.refused("EEXIST: file exists: " .. dir:path "to/d", ok, message, code)
    assert.same({ "a/", "a/w", "a/x", "a/y", "d -> ../outside", "l -> x", "v -> w" },
      tree.list(dir:path "to"))
    assert.same({ "new", "new", "old", "old" }, { dir:read "to/a/x", dir:read "to/a/y",
      dir:read "to/a/w", dir:read "outside/z" })
    assert.is_true(fs.remove(dir:path "to/d"))
    assert.is_true(fs.copytree(dir:path "from", dir:path "to", { merge = true }))
    assert.equal("new", dir:read "to/d/z")
  end)

  it("does not follow links to write", function()
    tree.make(dir.root, { "from/x=new", "outside=old" })
    tree.make(dir:path "to", { "x -> ../outside" })
    assert.is_true(fs.copytree(dir:path "from", dir:path "to", { merge = true }))
    assert.equal("old", dir:read "outside")
    assert.equal("new", dir:read "to/x")
  end)

  it("refuses to copy a directory into itself", function()
    tree.make(dir.root, { "from/a/b", "other/" })
    dir:symlink("link", "from/a")
    for _, to in ipairs { "from/to", "from/a/to", "link/to", "other/../from/to", "from/a/../to" } do
      assert.refused(("EINVAL: a directory cannot be copied into itself: %s -> %s")
        :format(dir:path "from", dir:path(to)), fs.copytree(dir:path "from", dir:path(to)))
    end
    assert.refused(("EINVAL: a directory cannot be copied into itself: %s -> %s")
      :format(dir:path "from", dir:path "from"),
      fs.copytree(dir:path "from", dir:path "from", { merge = true }))
    assert.is_true(fs.copytree(dir:path "from", dir:path "from-2"))
    assert.same({ "from-2/", "from-2/a/", "from-2/a/b", "from/", "from/a/", "from/a/b",
      "link -> from/a", "other/" }, tree.list(dir.root))
  end)

  it("copies from a link to a directory, and from no file", function()
    tree.make(dir.root, { "from/x" })
    local link, file = dir:symlink("link", "from"), dir:file "file"
    assert.is_true(fs.copytree(link, dir:path "to"))
    assert.same({ "x" }, tree.list(dir:path "to"))
    assert.refused("ENOTDIR: not a directory: " .. file, fs.copytree(file, dir:path "b"))
    assert.refused("ENOENT: no such file or directory: " .. dir:path "none",
      fs.copytree(dir:path "none", dir:path "b"))
    assert.refused("ENOENT: no such file or directory: " .. dir:path "none/to",
      fs.copytree(dir:path "from", dir:path "none/to"))
  end)

  it("tells the first failure and copies the rest", function()
    needs_root()
    tree.make(dir:path "from", { "a/x", "secret/y", "secret-file", "z" })
    command.run(("cd '%s' && chown -R 65534 . && chmod 0 from/secret"):format(dir.root))
    if not command.exists "setpriv" then
      pending "there is no setpriv"
    end
    local stdout = command.run("setpriv --reuid=65534 --regid=65534 --clear-groups "
      .. command.halo("-e", ("print(require 'halo'.fs.copytree('%s', '%s'))")
        :format(dir:path "from", dir:path "to")))
    assert.equal(("nil\tEACCES: permission denied: %s\tEACCES\n"):format(dir:path "from/secret"),
      stdout)
    assert.same({ "a/", "a/x", "secret-file", "secret/", "z" }, tree.list(dir:path "to"))
    assert.equal(octal "40000", fs.stat(dir:path "to/secret", "mode"))
  end)

  it("works where no task can wait", function()
    tree.make(dir:path "from", { "a/b/c", "d/e" })
    local ok
    table.sort({ 1, 2 }, function(a, b)
      ok = ok or fs.copytree(dir:path "from", dir:path "to")
      return a < b
    end)
    assert.is_true(ok)
    assert_alike(dir:path "from", dir:path "to")
  end)

  it("takes two paths and options", function()
    assert.misuse("bad argument #1 to 'copytree' (path (a string) expected, got nil)",
      function() fs.copytree() end)
    assert.misuse("bad argument #2 to 'copytree' (path (a string) expected, got nil)",
      function() fs.copytree "a" end)
    assert.misuse("bad argument #3 to 'copytree' (table of options expected, got number)",
      function() fs.copytree("a", "b", 1) end)
  end)
end)

describe("fs.move", function()
  local dir = temp.dir()

  it("renames", function()
    tree.make(dir.root, { "a/x=1", "f=2", "g=3" })
    assert.is_true(fs.move(dir:path "a", dir:path "b"))
    assert.is_true(fs.move(dir:path "f", dir:path "g"))
    assert.same({ "b/", "b/x", "g" }, tree.list(dir.root))
    assert.equal("2", dir:read "g")
  end)

  it("does not replace where it must not", function()
    local f, g = dir:file "f", dir:file "g"
    assert.refused(("EEXIST: file exists: %s -> %s"):format(f, g),
      fs.move(f, g, { noreplace = true }))
    assert.is_true(fs.move(f, dir:path "h", { noreplace = true }))
    assert.refused(("ENOENT: no such file or directory: %s -> %s"):format(f, g), fs.move(f, g))
    assert.misuse("bad argument #3 to 'move' (table of options expected, got boolean)",
      function() fs.move("a", "b", true) end)
  end)

  describe("to another file system", function()
    local there

    before_each(function()
      there = fs.mkdtemp "/dev/shm/halo-spec-XXXXXX"
      if not there or fs.stat(there, "dev") == fs.stat(dir.root, "dev") then
        pending "/dev/shm is no file system of its own"
      end
    end)

    after_each(function()
      command.run(command.quote("rm", "-rf", there or ""))
    end)

    local function names(root)
      return table.concat(tree.list(root), " ")
    end

    it("copies a file with all that is known of it, and removes it", function()
      local from = dir:file("from", "content")
      command.run(("chown 65534:65533 '%s'; chmod 4751 '%s'; touch -d @12345.5 '%s'; "
        .. "setfattr -n user.note -v hello '%s'"):format(from, from, from, from))
      local before = fs.stat(from)
      local note = fs.getxattr(from, "user.note")
      assert.is_true(fs.move(from, there .. "/to"))
      assert.equal("", names(dir.root))
      assert.equal("to", names(there))
      local after = fs.stat(there .. "/to")
      for _, field in ipairs { "mode", "uid", "gid", "mtime", "mtime_nsec", "size" } do
        assert.equal(before[field], after[field], field)
      end
      if fs.setxattr(there, "user.test", "x") then
        assert.equal(note, fs.getxattr(there .. "/to", "user.note"))
      end
    end)

    it("refuses the paths that a rename refuses, before anything is done", function()
      tree.make(dir.root, { "in/a/x", "in/file", "in/link -> a" })
      local before = names(dir.root)
      local cases = { { "in/.", "x" }, { "in/a/..", "x" }, { "in/file/", "x" }, { "in/link/", "x" },
        { "in/file", "x/" }, { "in/a", "." }, { "in/a", ".." }, { "in/none/", "x" } }
      for _, case in ipairs(cases) do
        local from = dir:path(case[1])
        local _, _, code = fs.rename(from, dir:path(case[2]))
        local to = there .. "/" .. case[2]
        local ok, message, refusal = fs.move(from, to)
        assert.is_nil(ok)
        assert.equal(code, refusal, message)
        assert.equal(" " .. from .. " -> " .. to, message:match ":([^:]*)$")
        assert.equal(before, names(dir.root))
        assert.equal("", names(there))
      end
      assert.is_true(fs.move(dir:path "in/a/", there .. "/b/"))
      assert.equal("b/ b/x", names(there))
    end)

    it("moves trees, links and pipes", function()
      needs_root()
      tree.make(dir.root, { "tree/a/b=content", "tree/l -> a", "tree/p|", "link -> tree", "pipe|" })
      posix.link(dir:path "tree/a/b", dir:path "tree/c")
      command.run(("chmod 500 '%s'; touch -h -d @12345 '%s' '%s'"):format(dir:path "tree/a",
        dir:path "tree/a", dir:path "link"))
      for _, name in ipairs { "tree", "link", "pipe" } do
        assert.is_true(fs.move(dir:path(name), there .. "/" .. name))
      end
      assert.equal("", names(dir.root))
      assert.equal("link -> tree pipe| tree/ tree/a/ tree/a/b tree/c tree/l -> a tree/p|",
        names(there))
      assert.equal(octal "40500", fs.stat(there .. "/tree/a", "mode"))
      assert.equal(12345, fs.stat(there .. "/tree/a", "mtime"))
      assert.equal(12345, fs.lstat(there .. "/link", "mtime"))
      assert.equal(2, fs.stat(there .. "/tree/c", "nlink"))
    end)

    it("replaces what a rename would replace", function()
      tree.make(dir.root, { "f=new", "d/x", "e/x" })
      tree.make(there, { "f=old", "d/", "e/y" })
      assert.is_true(fs.move(dir:path "f", there .. "/f"))
      assert.is_true(fs.move(dir:path "d", there .. "/d"))
      assert.refused(("ENOTEMPTY: directory not empty: %s -> %s"):format(dir:path "e",
        there .. "/e"), fs.move(dir:path "e", there .. "/e"))
      assert.refused(("EEXIST: file exists: %s -> %s"):format(dir:path "e", there .. "/f"),
        fs.move(dir:path "e", there .. "/f", { noreplace = true }))
      assert.equal("e/ e/x", names(dir.root))
      assert.equal("d/ d/x e/ e/y f", names(there))
    end)

    it("names the paths that the caller knows where it fails", function()
      tree.make(dir.root, { "tree/a/b", "file", "pipe|", "link -> file" })
      local full = there .. "/full"
      assert(fs.mkdir(full))
      local mount = command.quote("mount", "-t", "tmpfs", "-o", "nr_inodes=1", "none", full)
      if select(3, command.run(mount)) ~= 0 then
        pending "nothing can be mounted here"
      end
      local messages = {}
      for i, name in ipairs { "file", "link", "pipe", "tree" } do
        messages[i] = select(2, fs.move(dir:path(name), full .. "/to"))
      end
      command.run(command.quote("umount", full))
      local problem, to = "ENOSPC: no space left on device: ", full .. "/to"
      assert.same({ problem .. dir:path "file" .. " -> " .. to,
        problem .. dir:path "link" .. " -> " .. to, problem .. dir:path "pipe" .. " -> " .. to,
        problem .. to }, messages)
    end)

    it("removes nothing where not all has been copied", function()
      local full = there .. "/full"
      assert(fs.mkdir(full))
      local mount = command.quote("mount", "-t", "tmpfs", "-o", "size=1m", "none", full)
      if select(3, command.run(mount)) ~= 0 then
        pending "nothing can be mounted here"
      end
      tree.make(dir:path "from", { "a/small=x" })
      dir:file("from/big", ("x"):rep(2000000))
      local ok, message, code = fs.move(dir:path "from", full .. "/to/")
      local left = names(full)
      command.run(command.quote("umount", full))
      assert.is_nil(ok)
      assert.equal("ENOSPC", code, message)
      -- Either file may be the one for which there is no room.
      local from, to = message:match "^ENOSPC: no space left on device: (.*) %-> (.*)$"
      assert.equal(full .. "/to" .. from:sub(#dir:path "from" + 1), to)
      assert.equal("", left)
      assert.equal("from/ from/a/ from/a/small from/big", names(dir.root))
    end)

    it("leaves nothing behind when it is cancelled", function()
      tree.make(dir:path "from", { "a/x", "b/y" })
      for i = 1, 300 do
        dir:file("from/a/" .. i, ("x"):rep(70000)) -- not copied at once
      end
      local task = halo.spawn(fs.move, dir:path "from", there .. "/to")
      for _ = 1, 10 do
        halo.yield()
      end
      task:cancel()
      pcall(task.join, task)
      assert.equal("", names(there))
      assert.equal(305, #tree.list(dir.root))
    end)
  end)
end)
