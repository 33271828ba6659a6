-- Atomic writes through symbolic links, which the kernel alone follows.

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

local NOBODY, OTHER = 65534, 1234
local atomic = { atomic = true }

local function octal(text)
  return tonumber(text, 8)
end

describe("an atomic write through links", function()
  local dir = temp.dir()

  it("lets the kernel follow: no link of the user's is read", function()
    dir:file("file", "old")
    local link = dir:symlink("link", "file")
    with_core("readlink", function(readlink, ...)
      for _, argument in ipairs { ... } do
        assert.is_falsy(type(argument) == "string" and not argument:find "^/proc/self/fd/%d+$")
      end
      return readlink(...)
    end, function()
      assert.is_true(fs.writefile(link, "new", atomic))
    end)
    assert.equal("new", dir:read("file"))
    assert.same({ "file", "link -> file" }, tree.list(dir.root))
  end)

  it("keeps what the file has, though it may not be written", function()
    local path = dir:file("file", "old")
    fs.chmod(path, octal "0400")
    assert.is_true(fs.writefile(dir:symlink("link", "file"), "new", atomic))
    assert.equal("new", dir:read("file"))
    assert.equal(octal "400", fs.stat(path, "perm"))
  end)

  it("follows relative links from where they lie", function()
    tree.make(dir.root, { "a/", "b/c/", "b/c/file=old", "a/link -> ../b/d/file", "b/d -> c" })
    assert.is_true(fs.writefile(dir:path("a/link"), "new", atomic))
    assert.equal("new", dir:read("b/c/file"))
    assert.same({ "a/", "a/link -> ../b/d/file", "b/", "b/c/", "b/c/file", "b/d -> c" },
      tree.list(dir.root))
  end)

  for name, made in pairs { ["to a file"] = true, ["to nothing"] = false } do
    it("follows 40 and no more, " .. name, function()
      if made then
        dir:file("0", "old")
      end
      for i = 1, 41 do
        dir:symlink(tostring(i), tostring(i - 1))
      end
      assert.refused("ELOOP: too many levels of symbolic links: " .. dir:path("41"),
        fs.writefile(dir:path("41"), "new", atomic))
      assert.equal(made, dir:has("0"))
      assert.is_true(fs.writefile(dir:path("40"), "new", atomic))
      assert.equal("new", dir:read("0"))
      assert.equal(42, #tree.list(dir.root))
    end)
  end

  it("is refused as a plain write where the end has no place", function()
    dir:file("file")
    for target, code in pairs { ["none/x"] = "ENOENT", ["file/x"] = "ENOTDIR", ["new/"] = "EISDIR",
      ["."] = "EISDIR", [("x"):rep(256)] = "ENAMETOOLONG" } do
      local link = dir:symlink("link", target)
      assert.equal(code, (select(3, fs.writefile(link, "x"))))
      assert.equal(code, (select(3, fs.writefile(link, "x", atomic))))
      os.remove(link)
    end
    assert.same({ "file" }, tree.list(dir.root))
  end)

  it("refuses one that leads to no plain file, and has no effect on that", function()
    local link = dir:symlink("link", "fifo")
    dir:fifo("fifo")
    local reader = assert(fs.open(dir:path("fifo"), fs.flags.RDONLY + fs.flags.NONBLOCK))
    assert.refused("EINVAL: invalid argument: " .. link, fs.writefile(link, "x", atomic))
    reader:close()
    assert.same({ "fifo|", "link -> fifo" }, tree.list(dir.root))
  end)

  it("gives what is made at the end the permission bits of a new file", function()
    local before = posix.umask(octal "027")
    fs.writefile(dir:symlink("a", "x"), "", atomic)
    fs.writefile(dir:symlink("b", "y"), "", { atomic = true, perm = octal "666" })
    posix.umask(before)
    assert.equal(octal "640", fs.stat(dir:path("x"), "perm"))
    assert.equal(octal "640", fs.stat(dir:path("y"), "perm"))
  end)

  it("takes away what it has made at the end where a step is refused", function()
    local link = dir:symlink("link", "new")
    for _, step in ipairs { "random_name", "fsync", "rename" } do
      with_core(step, function()
        return nil, "EIO: input/output error: " .. step, "EIO"
      end, function()
        assert.refused("EIO: input/output error: " .. link, fs.writefile(link, "new", atomic))
      end)
      assert.same({ "link -> new" }, tree.list(dir.root))
    end
    local count = 0
    with_core("open", function(open, ...)
      count = count + 1
      if count == 4 then -- the directory, the end, what stands for it, its directory
        return nil, "EMFILE: too many open files: x", "EMFILE"
      end
      return open(...)
    end, function()
      assert.refused("EMFILE: too many open files: " .. link, fs.writefile(link, "x", atomic))
    end)
    assert.same({ "link -> new" }, tree.list(dir.root))
  end)

  it("leaves nothing behind wherever it is cancelled", function()
    local link = dir:symlink("link", "new")
    for turns = 0, tasks.rounds(40) do
      local task = halo.spawn(fs.writefile, link, "new", atomic)
      for _ = 1, turns do
        halo.yield()
      end
      task:cancel()
      pcall(task.join, task)
      -- What was under way may have to be undone yet.
      eventually("nothing but the old or all of the new is there", function()
        return (not dir:has("new") or dir:read("new") == "new") and #tree.list(dir.root) <= 2
      end)
      os.remove(dir:path("new"))
    end
  end)

  for _, step in ipairs { "open", "lstat", "readlink", "fsync", "close", "rename" } do
    it("leaves nothing behind where it is cancelled in " .. step, function()
      local link = dir:symlink("link", "new")
      for nth = 1, 5 do
        local task
        local count = 0
        with_core(step, function(original, ...)
          count = count + 1
          if count == nth and halo.current() == task then
            task:cancel()
          end
          return original(...)
        end, function()
          task = halo.spawn(fs.writefile, link, "new", atomic)
          pcall(task.join, task)
        end)
        assert.is_true(not dir:has("new") or dir:read("new") == "new")
        os.remove(dir:path("new"))
        assert.same({ "link -> new" }, tree.list(dir.root))
      end
    end)
  end

  it("finds a file that has another name by then", function()
    local link, moves = dir:symlink("link", "file"), 0
    dir:file("file", "old")
    with_core("readlink", function(readlink, ...)
      local text = readlink(...)
      if moves < 5 then -- between the kernel's word and the look at what it says
        moves = moves + 1
        assert(os.rename(dir:path("file"), dir:path("moved")))
        assert(os.rename(dir:path("moved"), dir:path("file")))
        dir:file("aside", text)
        assert(os.rename(dir:path("aside"), dir:path("file")))
      end
      return text
    end, function()
      assert.is_true(fs.writefile(link, "new", atomic))
    end)
    assert.equal(5, moves)
    assert.equal("new", dir:read("file"))
    assert.same({ "file", "link -> file" }, tree.list(dir.root))
  end)

  it("goes well with others to the same end", function()
    local link = dir:symlink("link", "file")
    for _ = 1, tasks.rounds(20) do
      halo.map({ link, link, dir:path("file"), link, link, dir:path("file"), link, link },
        function(path)
          assert(fs.writefile(path, "new", { atomic = true, sync = false }))
        end)
      assert.equal("new", dir:read("file"))
      assert.equal(octal "644", fs.stat(dir:path("file"), "perm"))
      assert.same({ "file", "link -> file" }, tree.list(dir.root))
      os.remove(dir:path("file"))
    end
  end)

  it("says so where there is no /proc", function()
    dir:file("file", "old")
    local link = dir:symlink("link", "file")
    with_core("readlink", function()
      return nil, "ENOENT: no such file or directory: x", "ENOENT"
    end, function()
      assert.refused("EOPNOTSUPP: /proc is not mounted, which it takes to follow a symbolic link: "
        .. link, fs.writefile(link, "new", atomic))
    end)
    assert.equal("old", dir:read("file"))
  end)
end)

describe("an atomic write to /proc/self/fd", function()
  local dir = temp.dir()

  local function magic(fd)
    return "/proc/self/fd/" .. fd
  end

  it("replaces a file by its name", function()
    local file = assert(fs.open(dir:file("file", "old")))
    assert.is_true(fs.writefile(magic(file:fd()), "new", atomic))
    assert.equal("old", file:read(9))
    file:close()
    assert.equal("new", dir:read("file"))
    assert.same({ "file" }, tree.list(dir.root))
  end)

  it("refuses one that was removed, whatever has its name now", function()
    local path = dir:file("gone", "old")
    local file = assert(fs.open(path))
    os.remove(path)
    local refusal = "EINVAL: invalid argument: " .. magic(file:fd())
    assert.refused(refusal, fs.writefile(magic(file:fd()), "new", atomic))
    assert.same({}, tree.list(dir.root))
    dir:file("gone", "another")
    dir:file("gone (deleted)", "another")
    assert.refused(refusal, fs.writefile(magic(file:fd()), "new", atomic))
    file:close()
    assert.equal("another", dir:read("gone"))
    assert.equal("another", dir:read("gone (deleted)"))
  end)

  it("refuses one whose name was removed, though it has another", function()
    local path = dir:file("one", "old")
    local file = assert(fs.open(path))
    posix.link(path, dir:path("other"))
    os.remove(path)
    assert.refused("EINVAL: invalid argument: " .. magic(file:fd()),
      fs.writefile(magic(file:fd()), "new", atomic))
    file:close()
    assert.equal("old", dir:read("other"))
    assert.same({ "other" }, tree.list(dir.root))
  end)

  it("refuses what never had a name", function()
    local file = assert(fs.tempfile(dir.root))
    assert.refused("EINVAL: invalid argument: " .. magic(file:fd()),
      fs.writefile(magic(file:fd()), "new", atomic))
    file:close()
    assert.same({}, tree.list(dir.root))
  end)

  it("refuses a pipe and a directory", function()
    local reading, writing = posix.pipe()
    for _, fd in ipairs { reading, writing } do
      assert.refused("EINVAL: invalid argument: " .. magic(fd),
        fs.writefile(magic(fd), "x", atomic))
    end
    assert.is_false(posix.is_readable(reading, 0))
    posix.close(reading)
    posix.close(writing)
    local file = assert(fs.open(dir.root))
    assert.refused("EISDIR: is a directory: " .. magic(file:fd()),
      fs.writefile(magic(file:fd()), "x", atomic))
    file:close()
  end)
end)

describe("a link of another user's in a sticky directory", function()
  local dir = temp.dir()
  local link

  ---Why it cannot be seen here that such a link is not followed.
  local function why_not()
    if dir.root and fs.stat(dir.root, "uid") ~= 0 then
      return "only root makes what belongs to others"
    elseif fs.readfile "/proc/sys/fs/protected_symlinks" ~= "1\n" then
      return "fs.protected_symlinks is not 1 here"
    end
  end

  ---A link to a name beside the sticky directory.
  local function plant(target)
    local sticky = dir:path("sticky")
    assert(fs.chmod(dir.root, octal "755"))
    assert(fs.mkdir(sticky))
    assert(fs.chown(sticky, OTHER, OTHER))
    assert(fs.chmod(sticky, octal "1777"))
    link = dir:symlink("sticky/link", dir:path(target))
    assert(fs.lchown(link, NOBODY, NOBODY))
  end

  it("is no more followed than by a plain write", function()
    local reason = why_not()
    if reason then
      pending(reason)
      return
    end
    dir:file("victim", "precious")
    plant "victim"
    dir:symlink("chain", link)
    for _, options in ipairs { {}, atomic } do
      for _, path in ipairs { link, dir:path("chain") } do
        assert.refused("EACCES: permission denied: " .. path, fs.writefile(path, "x", options))
      end
    end
    assert.equal("precious", dir:read("victim"))
    assert.same({ "chain -> " .. link, "sticky/", "sticky/link -> " .. dir:path("victim"),
      "victim" }, tree.list(dir.root))
  end)

  it("is no more followed to nothing", function()
    local reason = why_not()
    if reason then
      pending(reason)
      return
    end
    plant "new"
    for _, options in ipairs { {}, atomic } do
      assert.refused("EACCES: permission denied: " .. link, fs.writefile(link, "x", options))
    end
    assert.is_false(dir:has("new"))
  end)

  it("is followed by whom it belongs to", function()
    if fs.stat(dir.root, "uid") ~= 0 then
      pending "only root makes what belongs to others"
      return
    end
    plant "box/file"
    assert(fs.mkdir(dir:path("box")))
    assert(fs.chown(dir:path("box"), NOBODY, NOBODY))
    local script = 'assert(halo.fs.writefile(arg[1], "x", { atomic = true }))'
    assert.same({ "", "", 0 },
      { command.run(command.as_user(command.halo("-e", script, "-", link))) })
    assert.equal("x", dir:read("box/file"))
  end)
end)
