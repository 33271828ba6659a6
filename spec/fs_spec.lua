local halo = require "halo"
local fs = halo.fs
local posix = require "spec.support.posix"
local temp = require "spec.support.temp"
require "spec.support.assertions"

-- Calls that take one path and nothing more.
local path_calls = { "stat", "lstat", "remove", "rmdir", "readdir" }

local function octal(digits)
  return tonumber(digits, 8)
end

---What stat(1) says in a format of its own, word by word.
local function stat_says(path, format)
  local words = {}
  local pipe = assert(io.popen(("LC_ALL=C stat -c '%s' '%s'"):format(format, path)))
  for word in pipe:read("*a"):gmatch("%S+") do
    table.insert(words, word)
  end
  pipe:close()
  return words
end

local function by_name(entries)
  table.sort(entries, function(a, b)
    return a.name < b.name
  end)
  return entries
end

describe("halo.fs", function()
  local dir = temp.dir()

  it("is a module of its own, and a field of halo", function()
    assert.equal(fs, require "halo.fs")
  end)

  describe("stat", function()
    local fields = {
      "size", "uid", "gid", "nlink", "ino", "dev", "rdev", "blocks", "blksize", "mode",
      "atime", "mtime", "ctime", "btime",
    }

    local function assert_as_stat_says(stat, path)
      local says = stat_says(path, "%s %u %g %h %i %d %r %b %o %f %.X %.Y %.Z %.W")
      for i, field in ipairs(fields) do
        local seconds, fraction = says[i]:match("^(%d+)%.(%d+)$")
        local expected = tonumber(seconds or says[i], field == "mode" and 16 or 10)
        if field == "btime" and tonumber(says[i]) == 0 then
          expected, fraction = nil, nil -- not known, as in /dev on older kernels
        end
        assert.equal(expected, stat[field], field)
        local nsec = stat:table()[field .. "_nsec"] -- a stat raises where it has no such field
        assert.equal(fraction and tonumber(fraction), nsec, field .. "_nsec")
      end
    end

    it("gives every field of a file", function()
      local path = dir:file("file", ("x"):rep(12345))
      os.execute(("chmod 4751 '%s' && touch -d '2001-02-03 04:05:06.123456789' '%s'")
        :format(path, path))
      posix.link(path, dir:path("second name"))
      local stat = fs.stat(path)
      assert_as_stat_says(stat, path)
      assert.equal(12345, stat.size)
      assert.equal(2, stat.nlink)
      assert.equal(octal "104751", stat.mode)
      assert.equal(123456789, stat.mtime_nsec)
    end)

    it("gives every field of a directory and of a device", function()
      assert_as_stat_says(fs.stat(dir.root), dir.root)
      assert_as_stat_says(fs.stat("/dev/null"), "/dev/null")
    end)

    it("counts the seconds before 1970 down and their nanoseconds up", function()
      local path = dir:file("old")
      os.execute(("touch -d @-1.25 '%s'"):format(path))
      local stat = fs.stat(path)
      assert.equal(-2, stat.mtime)
      assert.equal(750000000, stat.mtime_nsec)
    end)

    it("has no field that is not named in the contract", function()
      local stat = fs.stat("/"):table()
      for _, field in ipairs(fields) do
        stat[field], stat[field .. "_nsec"] = nil, nil
      end
      assert.equal("string", type(stat.id))
      assert.equal(fs.stat("/", "perm"), stat.perm)
      stat.id, stat.perm = nil, nil
      assert.same({ type = "dir", is_file = false, is_dir = true, is_symlink = false }, stat)
    end)

    it("says what a path leads to", function()
      posix.mksocket(dir:path("socket"))
      local paths = {
        file = dir:file("file"),
        dir = dir.root,
        symlink = dir:symlink("link", "file"),
        fifo = dir:fifo("fifo"),
        socket = dir:path("socket"),
        char = "/dev/null",
      }
      for kind, path in pairs(paths) do
        local stat = fs.lstat(path)
        assert.equal(kind, stat.type)
        assert.equal(kind == "file", stat.is_file, kind)
        assert.equal(kind == "dir", stat.is_dir, kind)
        assert.equal(kind == "symlink", stat.is_symlink, kind)
      end
    end)

    it("follows a symbolic link, where lstat looks at the link itself", function()
      local path = dir:file("file", "four")
      local link = dir:symlink("link", "file")
      assert.same(fs.stat(path), fs.stat(link))
      assert_as_stat_says(fs.lstat(link), link)
      assert.is_true(fs.lstat(link).is_symlink)
      assert.equal(#"file", fs.lstat(link).size)
    end)

    it("of an open file is fstat, also a method, and outlives the file's name", function()
      local path = dir:file("file", "four")
      local file = fs.open(path)
      local stat = fs.fstat(file)
      assert_as_stat_says(stat, path)
      assert.same(stat, file:fstat())
      assert.same(stat, file:stat())
      os.remove(path)
      assert.equal(0, file:stat().nlink)
      file:close()
    end)

    it("refuses a link that leads nowhere, or in a circle", function()
      local dangling = dir:symlink("dangling", "nowhere")
      local circle = dir:symlink("circle", "circle")
      assert.refused("ENOENT: no such file or directory: " .. dangling, fs.stat(dangling))
      assert.refused("ELOOP: too many levels of symbolic links: " .. circle, fs.stat(circle))
      assert.is_true(fs.lstat(circle).is_symlink)
    end)
  end)

  describe("mkdir and rmdir", function()
    it("make a directory and remove it", function()
      local path = dir:path("new")
      assert.is_true(fs.mkdir(path))
      assert.is_true(fs.stat(path).is_dir)
      assert.is_true(fs.rmdir(path))
      assert.is_false(dir:has("new"))
    end)

    it("take permission bits, 0777 by default, less the umask", function()
      local umask = posix.umask(octal "027")
      finally(function() posix.umask(umask) end)
      fs.mkdir(dir:path("default"))
      fs.mkdir(dir:path("private"), octal "700")
      assert.equal(octal "40750", fs.stat(dir:path("default")).mode)
      assert.equal(octal "40700", fs.stat(dir:path("private")).mode)
    end)

    it("refuse what exists, what is missing, what is full and what is no directory", function()
      local file, inner = dir:file("file"), dir:path("none/inner")
      assert.refused("EEXIST: file exists: " .. file, fs.mkdir(file))
      assert.refused("ENOENT: no such file or directory: " .. inner, fs.mkdir(inner))
      assert.refused("ENOTDIR: not a directory: " .. file, fs.rmdir(file))
      assert.refused("ENOTEMPTY: directory not empty: " .. dir.root, fs.rmdir(dir.root))
    end)
  end)

  describe("remove", function()
    it("removes a file", function()
      assert.is_true(fs.remove(dir:file("file")))
      assert.is_false(dir:has("file"))
    end)

    it("removes a symbolic link and not what it leads to", function()
      dir:file("file", "kept")
      assert.is_true(fs.remove(dir:symlink("link", "file")))
      assert.is_false(dir:has("link"))
      assert.equal("kept", dir:read("file"))
    end)

    it("refuses a directory and what is missing", function()
      local missing = dir:path("missing")
      assert.refused("EISDIR: is a directory: " .. dir.root, fs.remove(dir.root))
      assert.refused("ENOENT: no such file or directory: " .. missing, fs.remove(missing))
    end)
  end)

  describe("rename", function()
    it("gives a file another name, and replaces what has that name", function()
      local from, to = dir:file("from", "new"), dir:file("to", "old")
      assert.is_true(fs.rename(from, to))
      assert.equal("new", dir:read("to"))
      assert.is_false(dir:has("from"))
    end)

    it("moves directories", function()
      fs.mkdir(dir:path("from"))
      dir:file("from/file", "moved")
      assert.is_true(fs.rename(dir:path("from"), dir:path("to")))
      assert.equal("moved", dir:read("to/file"))
    end)

    it("names both paths where it is refused", function()
      local file, sub, missing = dir:file("file"), dir:path("sub"), dir:path("missing")
      fs.mkdir(sub)
      assert.refused(("ENOENT: no such file or directory: %s -> %s"):format(missing, file),
        fs.rename(missing, file))
      assert.refused(("EISDIR: is a directory: %s -> %s"):format(file, sub), fs.rename(file, sub))
      assert.refused(("EINVAL: invalid argument: %s -> %s/below"):format(sub, sub),
        fs.rename(sub, sub .. "/below"))
    end)
  end)

  describe("readdir", function()
    it("gives name and type of each entry, without . and ..", function()
      dir:file("file")
      dir:fifo("fifo")
      dir:symlink("link", "nowhere")
      fs.mkdir(dir:path("sub"))
      posix.mksocket(dir:path("unix"))
      assert.same({
        { name = "fifo", type = "fifo" },
        { name = "file", type = "file" },
        { name = "link", type = "symlink" },
        { name = "sub", type = "dir" },
        { name = "unix", type = "socket" },
      }, by_name(fs.readdir(dir.root)))
    end)

    it("gives an empty array for an empty directory", function()
      assert.same({}, fs.readdir(dir.root))
    end)

    it("takes names as the bytes that they are", function()
      local names = { "\1\n", "*", "a b", "\195\188", "\255\254" }
      for _, name in ipairs(names) do
        assert(fs.open(dir:path(name), "w")):close()
      end
      for i, entry in ipairs(by_name(fs.readdir(dir.root))) do
        assert.equal(names[i], entry.name)
        assert.is_true(fs.remove(dir:path(entry.name)))
      end
      assert.same({}, fs.readdir(dir.root))
    end)

    it("gives all entries of a large directory", function()
      local expected = {}
      for i = 1, 300 do
        local name = ("%03d-%s"):format(i, ("n"):rep(i % 250))
        dir:file(name)
        table.insert(expected, { name = name, type = "file" })
      end
      assert.same(expected, by_name(fs.readdir(dir.root)))
    end)

    it("refuses what is no directory", function()
      local file = dir:file("file")
      assert.refused("ENOTDIR: not a directory: " .. file, fs.readdir(file))
    end)
  end)

  describe("a path", function()
    it("may be relative", function()
      assert.same(fs.stat("/proc/self/cwd/spec"), fs.stat("spec"))
    end)

    it("that is too long is refused", function()
      local long, name = ("x/"):rep(2500), dir:path(("n"):rep(256))
      for _, path in ipairs { long, name } do
        local message = "ENAMETOOLONG: file name too long: " .. path
        assert.refused(message, fs.open(path))
        assert.refused(message, fs.mkdir(path))
        for _, call in ipairs(path_calls) do
          assert.refused(message, fs[call](path))
        end
        local other = dir:path("other")
        assert.refused(message .. " -> " .. other, fs.rename(path, other))
      end
    end)

    it("that is missing, empty or leads through a file is refused", function()
      local missing, through = dir:path("missing"), dir:file("file") .. "/name"
      for _, call in ipairs { "open", unpack(path_calls) } do
        assert.refused("ENOENT: no such file or directory: " .. missing, fs[call](missing))
        assert.refused("ENOENT: no such file or directory: ", fs[call](""))
        assert.refused("ENOTDIR: not a directory: " .. through, fs[call](through))
      end
    end)

    it("with a NUL byte is a misuse, and so is anything but a string", function()
      local nul = "the path contains a NUL byte"
      for _, call in ipairs { "open", "create", "mkdir", unpack(path_calls) } do
        local bad = ("bad argument #1 to '%s' "):format(call)
        assert.misuse(bad .. "(" .. nul .. ")", function() fs[call]("/etc\0/passwd") end)
        local expected = bad .. "(path (a string) expected, got %s)"
        assert.misuse(expected:format("number"), function() fs[call](12) end)
        assert.misuse(expected:format("nil"), function() fs[call](nil) end)
        assert.misuse(expected:format("table"), function() fs[call] {} end)
      end
      assert.misuse("bad argument #1 to 'rename' (" .. nul .. ")",
        function() fs.rename("\0", "/nope") end)
      assert.misuse("bad argument #2 to 'rename' (" .. nul .. ")",
        function() fs.rename("/nope", "a\0b") end)
      assert.misuse("bad argument #2 to 'rename' (path (a string) expected, got boolean)",
        function() fs.rename("/nope", true) end)
    end)
  end)

  it("takes permission bits from 0 to 07777, and raises for others", function()
    local expected = "bad argument #2 to 'mkdir' (permissions are a whole number from 0 to 4095 "
      .. "(07777), got %s)"
    for _, perm in ipairs { -1, octal "10000", 1 / 0, 0 / 0, 1.5 } do
      assert.misuse(expected:format(perm), function() fs.mkdir(dir:path("new"), perm) end)
    end
    assert.is_false(dir:has("new"))
  end)

  it("lets other tasks run while a call waits", function()
    local file, order = fs.create(dir:path("file")), {}
    local other = halo.spawn(function()
      table.insert(order, "other task")
    end)
    assert.is_true(fs.fsync(file))
    table.insert(order, "fsync")
    other:join()
    assert.same({ "other task", "fsync" }, order)
    file:close()
  end)

  it("keeps the results of many calls apart", function()
    local tasks = {}
    for i = 1, 500 do
      local path = i % 2 == 0 and dir:file(i, ("x"):rep(i)) or dir:path(i)
      tasks[i] = halo.spawn(fs.stat, path)
    end
    for i = 1, 500 do
      if i % 2 == 0 then
        assert.equal(i, tasks[i]:join().size)
      else
        assert.refused("ENOENT: no such file or directory: " .. dir:path(i), tasks[i]:join())
      end
    end
  end)

  it("has the flags of open(2)", function()
    local expected = {
      RDONLY = 0, WRONLY = 1, RDWR = 2, CREAT = octal "100", EXCL = octal "200",
      TRUNC = octal "1000", APPEND = octal "2000",
      DIRECTORY = jit.arch:find "^arm" and octal "40000" or octal "200000",
    }
    for name, value in pairs(expected) do
      assert.equal(value, fs.flags[name], name)
    end
    assert.is_number(fs.flags.DIRECT)
  end)
end)
