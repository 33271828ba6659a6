-- What people guess who come from luv, node, lfs or Lua's io: it raises at their line, says what to
-- write instead, and nothing else happens in silence.

local halo = require "halo"
local temp = require "spec.support.temp"

local fs = halo.fs

---Asserts that a function raises where it is written, and that the message has some text in it.
local function assert_raises(text, call, ...)
  local ok, message = pcall(call, ...)
  local place = debug.getinfo(call, "S")
  local line = ("%s:%d: "):format(place.short_src, place.linedefined)
  assert.is_false(ok, "it was taken")
  assert.equal(line, tostring(message):sub(1, #line))
  assert.matches(text, message, 1, true)
end

---The arguments of each call, a callback to be put behind them. "file" stands for an open File.
-- stylua: ignore
local calls = {
  access = { "a", "r" }, chdir = { "a" }, chmod = { "a", "600" }, chown = { "a" },
  close = { "file" }, copy = { "a", "new" }, copytree = { "dir", "new" }, create = { "new" },
  cwd = {}, dir = { "dir" }, exists = { "a" }, fadvise = { "file", "random" },
  fallocate = { "file", 0, 9 }, fchmod = { "file", "600" }, fchown = { "file" },
  fdatasync = { "file" }, flush = { "file" }, fstat = { "file" }, fsync = { "file" },
  ftruncate = { "file", 0 }, futime = { "file", 0, 0 }, getxattr = { "a", "user.a" },
  glob = { "*" }, hash = { "a" }, lchown = { "a" }, lgetxattr = { "a", "user.a" }, lines = { "a" },
  link = { "a", "new" }, listxattr = { "a" }, llistxattr = { "a" }, lock = { "file", "shared" },
  lremovexattr = { "a", "user.a" }, lsetxattr = { "a", "user.a", "" }, lstat = { "a" },
  lutime = { "a", 0, 0 }, mkdir = { "new" }, mkdtemp = { "new" }, mkfifo = { "new" },
  mknod = { "new", "fifo" }, mkstemp = { "new" }, move = { "a", "new" }, open = { "a" },
  poll = { "a" }, pread = { "file", 1, 0 }, pread_into = { "file", halo.buffer(1), 1, 0 },
  pwrite = { "file", "x", 0 }, read = { "file", 1 }, read_into = { "file", halo.buffer(1), 1 },
  readdir = { "dir" }, readfile = { "a" }, readfile_into = { "a", halo.buffer(9) },
  readlink = { "a" }, readv = { "file", {} }, realpath = { "a" }, remove = { "a" },
  removexattr = { "a", "user.a" }, rename = { "a", "new" }, rmdir = { "dir" }, rmtree = { "dir" },
  seek = { "file", "set", 0 }, setvbuf = { "file", "full", 9 }, setxattr = { "a", "user.a", "" },
  stat = { "a" }, statfs = { "a" }, symlink = { "a", "new" }, sync = {},
  sync_file_range = { "file" }, tell = { "file" }, tempfile = { "dir" }, truncate = { "a", 0 },
  umask = { "022" }, unlock = { "file" }, utime = { "a", 0, 0 }, walk = { "dir" },
  watch = { "dir" }, write = { "file", "x" }, writefile = { "a", "x" }, at = { "dir" },
}

local WAY_OUT = "the call returns its result, and takes no callback"

describe("a callback", function()
  local dir = temp.dir()
  local root, file

  before_each(function()
    dir:file("a", "text")
    assert(fs.mkdir(dir:path "dir", { parents = true }))
    root, file = assert(fs.at(dir.root)), assert(fs.open(dir:path "a", "r+"))
  end)

  after_each(function()
    root:close()
    file:close()
  end)

  local function callback() error "it is called" end

  ---The arguments with paths below a directory, a callback behind them.
  local function arguments(name, make_path)
    local list = {}
    for i, value in ipairs(calls[name]) do
      local is_path = value == "a" or value == "dir" or value == "new" or value == "*"
      list[i] = value == "file" and file or is_path and make_path(value) or value
    end
    list[#list + 1] = callback
    return list
  end

  local function below_dir(path) return dir:path(path) end
  local function as_written(path) return path end

  for name in pairs(calls) do
    it("is refused by fs." .. name, function()
      local list = arguments(name, below_dir)
      assert_raises(WAY_OUT, function() return (fs[name](unpack(list))) end)
      assert.equal("text", dir:read "a")
      assert.is_false(fs.exists(dir:path "new"))
      assert.is_true(fs.exists(dir:path "dir"))
    end)

    if calls[name][1] == "file" then
      it("is refused by File:" .. name, function()
        local list = arguments(name, below_dir)
        assert_raises(WAY_OUT, function() return (file[name](unpack(list))) end)
      end)
    elseif fs.at and calls[name][1] then
      it("is refused by Dir:" .. name .. ", where there is one", function()
        if root[name] then
          local list = arguments(name, as_written)
          assert_raises(WAY_OUT, function() return (root[name](root, unpack(list))) end)
          assert.equal("text", dir:read "a")
          assert.is_false(fs.exists(dir:path "new"))
        end
      end)
    end
  end

  it("is refused by each function there is", function()
    for name in pairs(getmetatable(fs).modules) do
      assert(fs[name], name)
    end
    for name, value in pairs(fs) do
      assert.is_true(type(value) ~= "function" or calls[name] ~= nil, name)
    end
  end)

end)

describe("a wrong guess", function()
  local dir = temp.dir()
  local path

  before_each(function()
    path = dir:file("a", "text")
  end)

  local function file()
    return assert(fs.open(path, "r+"))
  end

  -- What is written, what the message says, and the call on one line.
  -- stylua: ignore
  local rows = {
    { "node's encoding", "#2 to 'readfile' (no such argument: no options",
      function() fs.readfile(path, { encoding = "utf8" }) end },
    { "options of rmdir", "#2 to 'rmdir' (no such argument: no options",
      function() fs.rmdir(path, { recursive = true }) end },
    { "options of readdir", "#2 to 'readdir' (no such argument: no options",
      function() fs.readdir(path, { withFileTypes = true }) end },
    { "0 for false", "#3 to 'copy' (exclusive: true or false expected, got 0)",
      function() fs.copy(path, path, { exclusive = 0 }) end },
    { "a word for true", "#2 to 'remove' (recursive: true or false expected, got no)",
      function() fs.remove(path, { recursive = "no" }) end },
    { "a walk's order", "#2 to 'walk' (order: true or false expected, got size)",
      function() fs.walk(path, { order = "size" }) end },
    { "atomic = 1", "#3 to 'writefile' (atomic: true or false expected, got 1)",
      function() fs.writefile(path, "x", { atomic = 1 }) end },
    { "a table that is no array", "#1 to 'write' (the table is no array: it has 1 members, 0",
      function() file():write { a = 1 } end },
    { "an array with more than its places", "#2 to 'writefile' (an array expected: 'n' is no",
      function() fs.writefile(path, { "a", n = 1 }) end },
    { "an array with a hole", "#1 to 'write' (the table is no array",
      function() file():write { [1] = "a", [3] = "b" } end },
    { "an unknown field of a stat", "a stat has no field 'isDirectory', but type, is_file, is_dir",
      function() if fs.stat(path).isDirectory then error "?" end end },
    { "lfs's name of a field", "a stat has no field 'modification'",
      function() return (fs.stat(path).modification) end },
    { "a field that is asked for", "#2 to 'stat' (no field 'modification', but type, is_file",
      function() fs.stat(path, "modification") end },
    { "a field that is asked for of a File", "#1 to 'stat' (no field 'sise', but type, is_file",
      function() file():stat "sise" end },
    { "a list of fields", "#2 to 'stat' (name of a field (a string) expected, got table",
      function() fs.stat(path, { "size" }) end },
    { "a decimal umask", "#1 to 'umask' (the decimal 22 is 26 in octal: write \"022\", or 18)",
      function() fs.umask(022) end },
    { "access(2)'s names", "#2 to 'access' ('R' where any of r, w and x",
      function() fs.access(path, "R_OK") end },
    { "an event that is none", "no event 'change', but access, attrib, close",
      function() fs.watch(path, { events = { "change" } }) end },
    { "events as keys", "#2 to 'watch' (events: a list of names expected, not 'modify' =",
      function() fs.watch(path, { events = { modify = true } }) end },
    { "both read and write", "invalid mode 'rw': 'r', 'w' or 'a', with '+' to read and write",
      function() fs.open(path, "rw") end },
    { "an algorithm of others", "#1 to 'hash' (no such algorithm, but xxh3 and sha256)",
      function() file():hash "md5" end },
    { "no attribute's name", "#1 to 'getxattr' (name of an attribute (a string) expected, got n",
      function() file():getxattr() end },
    { "hash with a dot", "#1 to 'hash' (File expected, got nil: file:hash(...)",
      function() file().hash() end },
    { "a Dir with a dot", "'stat' on bad self (Dir expected, got string): a colon before stat",
      function() fs.at(dir.root).stat "a" end },
    { "a scope with a dot", "'spawn' on bad self (Scope expected, got function): a colon",
      function() halo.scope(function(scope) scope.spawn(print) end) end },
    { "a channel with a dot", "'send' on bad self (Channel expected, got number): a colon",
      function() halo.channel(1).send(1) end },
    { "a semaphore with a dot", "'with' on bad self (Semaphore expected, got function): a colon",
      function() halo.semaphore(1).with(print) end },
    { "nothing to call with a permit", "#1 to 'with' (function expected, got nil)",
      function() halo.semaphore(1):with() end },
    { "map over pairs", "#1 to 'map' (the function of pairs or ipairs, which needs the table",
      function() halo.map(pairs { 1 }, print) end },
    { "map over ipairs", "#1 to 'map' (the function of pairs or ipairs, which needs the table",
      function() halo.map(ipairs { 1 }, print) end },
    { "select of one channel", "#1 to 'select' (a list expected: halo.select { channel",
      function() halo.select(halo.channel()) end },
    { "a callback of sleep", "#2 to 'sleep' (no such argument, got function",
      function() halo.sleep(0, print) end },
  }
  for _, row in ipairs(rows) do
    it("raises: " .. row[1], function()
      assert_raises(row[2], row[3])
      assert.equal("text", dir:read "a")
    end)
  end

  it("is no field that a stat may lack", function()
    local st = fs.stat(path)
    assert.is_true(st.btime == nil or st.btime > 0)
    assert.equal("file", st.type)
  end)

  it("of a Dir that was closed tells that", function()
    local root = assert(fs.at(dir.root))
    root:close()
    for _, name in ipairs { "stat", "open", "readfile", "readdir", "remove", "hash", "exists" } do
      local result, message, code = root[name](root, "a")
      assert.same({ "EBADF: the directory is closed: a", "EBADF" }, { message, code }, name)
      assert.is_nil(result)
    end
    for _, name in ipairs { "dir", "lines", "watch" } do
      assert_raises("EBADF: the directory is closed: a", function() root[name](root, "a") end)
    end
  end)
end)
