local halo = require "halo"
local fs = halo.fs
local command = require "spec.support.command"
local eventually = require "spec.support.eventually"
local posix = require "spec.support.posix"
local temp = require "spec.support.temp"
local tree = require "spec.support.tree"
require "spec.support.assertions"

local core = require "halo.core"

local function mode_of(path)
  return fs.stat(path, "mode") % tonumber("10000", 8)
end

---Calls fn while fs.open is answered by a function of its arguments, where that answers at all.
local function with_open(answer, fn)
  local open = core.open
  core.open = function(base, path, ...)
    local code = answer(path, ...)
    if code then
      return nil, code .. ": so it is: " .. path, code
    end
    return open(base, path, ...)
  end
  local ok, err = pcall(fn)
  core.open = open
  assert(ok, err)
end

describe("fs.mkstemp", function()
  local dir = temp.dir()

  it("creates a file of this user alone, open to read and write", function()
    local before = posix.umask(0)
    local file, path = fs.mkstemp(dir:path("name-XXXXXX"))
    posix.umask(before)
    assert.is_truthy(path:match("/name%-[a-z2-7][a-z2-7][a-z2-7][a-z2-7][a-z2-7][a-z2-7]$"))
    assert.equal(path, file:path())
    assert.equal(tonumber("600", 8), mode_of(path))
    file:write("written")
    assert.equal("written", file:pread(100, 0))
    file:close()
  end)

  it("takes a prefix, or a template with as many X as wanted", function()
    local file, path = fs.mkstemp(dir:path("prefix"))
    file:close()
    assert.equal(#dir:path("prefix") + 12, #path)
    file, path = fs.mkstemp(dir:path(("X"):rep(40)))
    file:close()
    assert.equal(#dir:path("") + 40, #path)
    file, path = fs.mkstemp(dir:path("five-XXXXX"))
    file:close()
    assert.equal(dir:path("five-XXXXX"), path:sub(1, -13))
  end)

  it("never gives a name twice", function()
    local names = {}
    for _ = 1, 200 do
      local file, path = fs.mkstemp(dir:path("XXXXXX"))
      file:close()
      assert.is_nil(names[path])
      names[path] = true
    end
  end)

  it("tries other names where one is taken, and not for ever", function()
    local tried = {}
    with_open(function(path)
      tried[#tried + 1] = path
      return #tried < 100 and "EEXIST" or nil
    end, function()
      fs.mkstemp(dir:path("XXXXXX")):close()
    end)
    assert.equal(100, #tried)
    assert.is_true(tried[1] ~= tried[2])
    with_open(function() return "EEXIST" end, function()
      local file, _, code = fs.mkstemp(dir:path("XXXXXX"))
      assert.is_nil(file)
      assert.equal("EEXIST", code)
    end)
  end)

  it("goes to $TMPDIR, or else to /tmp", function()
    local script = [[
      local fs = require("halo").fs
      local file, path = fs.mkstemp()
      print(path)
      fs.remove(path)
      file, path = fs.mkstemp("own-")
      print(path)
      fs.remove(path)]]
    local line = command.halo("-e", script)
    local stdout = command.run(("TMPDIR=%s "):format(dir.root) .. line)
    local first, second = stdout:match "^(%C+)\n(%C+)\n$"
    assert.equal(dir:path("halo-"), first:sub(1, -13))
    assert.equal(dir:path("own-"), second:sub(1, -13))
    for _, variable in ipairs { "TMPDIR= ", "unset TMPDIR; " } do
      assert.equal("/tmp/halo-", command.run(variable .. line):match "^%C+":sub(1, -13))
    end
  end)

  it("is refused with the path it has tried", function()
    local file, message, code = fs.mkstemp(dir:path("missing/XXXXXX"))
    assert.is_nil(file)
    assert.is_truthy(message:match("^ENOENT: no such file or directory: /.*/missing/%w+$"))
    assert.equal("ENOENT", code)
  end)

  it("leaves nothing behind where it raises a cancellation", function()
    for turns = 0, 8 do
      local file, path
      local task = halo.spawn(function()
        file, path = fs.mkstemp(dir:path("XXXXXX"))
      end)
      for _ = 1, turns do
        halo.yield()
      end
      task:cancel()
      pcall(task.join, task)
      if file then
        assert(file:close() and os.remove(path))
      end
      eventually("there is no file", function()
        return #tree.list(dir.root) == 0
      end)
    end
  end)

  it("raises misuse", function()
    assert.misuse("bad argument #1 to 'mkstemp' (path (a string) expected, got number)",
      function() fs.mkstemp(1) end)
    assert.misuse("bad argument #1 to 'mkstemp' (the path contains a NUL byte)",
      function() fs.mkstemp("\0") end)
  end)
end)

describe("fs.mkdtemp", function()
  local dir = temp.dir()

  it("creates a directory of this user alone", function()
    local path = fs.mkdtemp(dir:path("name-XXXXXX"))
    assert.is_true(fs.stat(path, "is_dir"))
    assert.equal(tonumber("700", 8), mode_of(path))
    local other = fs.mkdtemp(dir:path("name-XXXXXX"))
    assert.is_true(path ~= other)
    assert.equal(2, #tree.list(dir.root))
  end)

  it("is refused with the path it has tried", function()
    local path, message, code = fs.mkdtemp(dir:path("missing/"))
    assert.is_nil(path)
    assert.is_truthy(message:match("^ENOENT: no such file or directory: /.*/missing/%w+$"))
    assert.equal("ENOENT", code)
  end)

  it("raises misuse", function()
    assert.misuse("bad argument #1 to 'mkdtemp' (path (a string) expected, got table)",
      function() fs.mkdtemp({}) end)
  end)
end)

describe("fs.tempfile", function()
  local dir = temp.dir()

  local function check_file(file)
    assert.equal(7, file:write("content"))
    assert.equal("content", file:pread(100, 0))
    assert.equal(0, file:stat("nlink"))
    assert.same({}, tree.list(dir.root))
    file:close()
  end

  it("opens a file that has no name", function()
    check_file(assert(fs.tempfile(dir.root)))
    assert(fs.tempfile()):close()
  end)

  it("does so where the file system knows only files with names", function()
    for _, refusal in ipairs { "EOPNOTSUPP", "EISDIR", "EINVAL" } do
      with_open(function(_, flags)
        return flags % (2 * fs.flags.TMPFILE) >= fs.flags.TMPFILE and refusal or nil
      end, function()
        check_file(assert(fs.tempfile(dir.root)))
      end)
    end
  end)

  it("names the directory where that takes no files with names either", function()
    with_open(function(path, flags)
      return flags % (2 * fs.flags.TMPFILE) >= fs.flags.TMPFILE and "EOPNOTSUPP"
        or path:find(".halo-", 1, true) and "EROFS" or nil
    end, function()
      assert.refused("EROFS: so it is: " .. dir.root, fs.tempfile(dir.root))
    end)
  end)

  it("is refused with the path", function()
    local missing, file = dir:path("missing"), dir:file("file")
    assert.refused("ENOENT: no such file or directory: " .. missing, fs.tempfile(missing))
    assert.refused("ENOTDIR: not a directory: " .. file, fs.tempfile(file))
  end)

  it("raises misuse", function()
    assert.misuse("bad argument #1 to 'tempfile' (path (a string) expected, got boolean)",
      function() fs.tempfile(true) end)
  end)
end)
