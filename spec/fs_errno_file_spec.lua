-- Which errno each call on a File answers: on one that is closed, that is open for something else,
-- or that is no plain file; by the function and by the method.

local halo = require "halo"
local catalog = require "spec.support.catalog"
local command = require "spec.support.command"
local refusals = require "spec.support.refusals"
local temp = require "spec.support.temp"
require "spec.support.assertions"

local fs = halo.fs
local flags = fs.flags

local MAX = 2 ^ 53

---The calls of one row of the table on a file: the function's and the methods', by their names.
local function calls_of(entry)
  local calls, count = {}, table.maxn(entry)
  calls["fs." .. entry[1]] = catalog.calling(entry, 2)
  for _, name in ipairs(entry.methods or { entry[1] }) do
    calls["File:" .. name] = function(file)
      return file[name](file, unpack(entry, 2, count))
    end
  end
  if entry.raises then
    for name, call in pairs(calls) do
      calls[name] = function(file)
        for _ in call(file) do end
      end
    end
  end
  return calls
end

---A test of each call on a File that is made for it.
local function each_call(code, what, make, except)
  for _, entry in ipairs(catalog.files) do
    for name, call in pairs(except[entry[1]] and {} or calls_of(entry)) do
      it(("%s answers %s for %s"):format(name, code, what), function()
        local file = make()
        if entry.raises then
          refusals.assert_raised(code, file:path(), function() call(file) end)
        else
          refusals.assert_refused(code, file:path(), false, call(file))
        end
        file:close()
      end)
    end
  end
end

-- ---- every call ---------------------------------------------------------------------------------

describe("each call on a File", function()
  local t = refusals.fixture()
  local other

  after_each(function()
    if other then
      other:close()
      other = nil
    end
  end)

  each_call("EBADF", "a closed one", function()
    local file = assert(fs.open(t.file))
    file:close()
    return file
  end, {})

  each_call("EBADF", "a stale one, whose place another has", function()
    local file = assert(fs.open(t.file))
    file:close()
    other = assert(fs.open(t.full .. "/x"))
    return file
  end, {})

  -- A descriptor of a path alone is good for no more than to be looked at, and for utimensat(2).
  each_call("EBADF", "one opened with PATH", function()
    return assert(fs.open(t.file, flags.PATH))
  end, {
    close = true, flush = true, fstat = true, statfs = true, seek = true, tell = true,
    futime = true,
  })

  it("leaves all as it was where it is refused", function()
    t.assert_unchanged()
  end)
end)

-- ---- what only some files refuse ----------------------------------------------------------------

describe("a call on a File", function()
  local t = refusals.fixture()
  local reading, writing, appending, dir, fifo, socket, null, full
  local buffer = halo.buffer(8)

  setup(function()
    reading, writing = assert(fs.open(t.file)), assert(fs.open(t.file, flags.WRONLY))
    appending = assert(fs.open(t.file, flags.WRONLY + flags.APPEND))
    dir, fifo = assert(fs.open(t.dir)), assert(fs.open(t.fifo, flags.RDWR))
    socket = assert(fs.open(t.socket, flags.PATH))
    null, full = assert(fs.open("/dev/null", "r+")), assert(fs.open("/dev/full", "w"))
    t.null, t.dev_full, t.mem = "/dev/null", "/dev/full", "/proc/self/mem"
  end)

  teardown(function()
    for _, file in pairs { reading, writing, appending, dir, fifo, socket, null, full } do
      file:close()
    end
  end)

  refusals.expand(t, {
    -- Open for the other direction.
    { "File:read", "EBADF", "file", function() return writing:read(1) end },
    { "File:read(0)", "EBADF", "file", function() return writing:read(0) end },
    { "File:pread", "EBADF", "file", function() return writing:pread(1, 0) end },
    { "File:read_into", "EBADF", "file", function() return writing:read_into(buffer) end },
    { "File:readv", "EBADF", "file", function() return writing:readv { buffer } end },
    { "File:lines", "EBADF", "file", function() return writing:lines()() end, raises = true },
    { "File:write", "EBADF", "file", function() return reading:write "x" end },
    { "File:write(nothing)", "EBADF", "file", function() return reading:write "" end },
    { "File:pwrite", "EBADF", "file", function() return reading:pwrite("x", 0) end },
    { "File:write(array)", "EBADF", "file", function() return reading:write { "x", buffer } end },
    { "File:truncate", "EINVAL", "file", function() return reading:truncate(0) end },
    { "File:fallocate", "EBADF", "file", function() return reading:fallocate(0, 1) end },

    -- Offsets.
    { "File:pwrite to append", "EINVAL", "file",
      function() return appending:pwrite("x", 0) end },
    { "File:fallocate(nothing)", "EINVAL", "file", function() return writing:fallocate(0, 0) end },
    { "File:seek(data) at the end", "ENXIO", "file",
      function() return reading:seek("data", 7) end },
    { "File:seek(hole) behind it", "ENXIO", "file", function() return reading:seek("hole", 8) end },

    -- A directory.
    { "File:read", "EISDIR", "dir", function() return dir:read(1) end },
    { "File:read_into", "EISDIR", "dir", function() return dir:pread_into(buffer, 1, 0) end },
    { "File:readv", "EISDIR", "dir", function() return dir:readv { buffer } end },
    { "File:lines", "EISDIR", "dir", function() return dir:lines()() end, raises = true },
    { "File:write", "EBADF", "dir", function() return dir:write "x" end },
    { "File:truncate", "EINVAL", "dir", function() return dir:truncate(0) end },
    { "File:fallocate", "EBADF", "dir", function() return dir:fallocate(0, 1) end },

    -- A FIFO has no place to be at, and nothing to keep.
    { "File:pread", "ESPIPE", "fifo", function() return fifo:pread(1, 0) end },
    { "File:pread_into", "ESPIPE", "fifo",
      function() return fifo:pread_into(buffer, 1, 0) end },
    { "File:lines(offset)", "ESPIPE", "fifo",
      function() return fifo:lines(false, 0)() end, raises = true },
    { "File:pwrite", "ESPIPE", "fifo", function() return fifo:pwrite("x", 0) end },
    { "File:pwrite", "ESPIPE", "fifo", function() return fifo:pwrite({ "x" }, 0) end },
    { "File:seek(set)", "ESPIPE", "fifo", function() return fifo:seek("set", 0) end },
    { "File:seek(cur)", "ESPIPE", "fifo", function() return fifo:seek("cur", 0) end },
    { "File:seek(end)", "ESPIPE", "fifo", function() return fifo:seek("end", 0) end },
    { "File:seek(data)", "ESPIPE", "fifo", function() return fifo:seek("data", 0) end },
    { "File:seek(hole)", "ESPIPE", "fifo", function() return fifo:seek("hole", 0) end },
    { "File:tell", "ESPIPE", "fifo", function() return fifo:tell() end },
    { "File:truncate", "EINVAL", "fifo", function() return fifo:truncate(0) end },
    { "File:fsync", "EINVAL", "fifo", function() return fifo:fsync() end },
    { "File:fsync once more", "EINVAL", "fifo", function() return fifo:fsync() end },
    { "File:fdatasync", "EINVAL", "fifo", function() return fifo:fdatasync() end },
    { "File:fallocate", "ESPIPE", "fifo", function() return fifo:fallocate(0, 1) end },
    { "File:fadvise", "ESPIPE", "fifo", function() return fifo:fadvise "normal" end },
    { "File:sync_file_range", "ESPIPE", "fifo", function() return fifo:sync_file_range() end },
    { "File:setxattr", "EPERM", "fifo", function() return fifo:setxattr("user.x", "x") end },
    { "File:removexattr", "EPERM", "fifo", function() return fifo:removexattr "user.x" end },
    { "fs.setxattr", "EPERM", "fifo", function() return fs.setxattr(t.fifo, "user.x", "x") end },

    -- Devices.
    { "File:fallocate", "ENODEV", "null", function() return null:fallocate(0, 1) end },
    { "File:truncate", "EINVAL", "null", function() return null:truncate(0) end },
    { "File:fsync", "EINVAL", "null", function() return null:fsync() end },
    { "File:sync_file_range", "ESPIPE", "null", function() return null:sync_file_range() end },
    { "File:write", "ENOSPC", "dev_full", function() return full:write "x" end },
    { "File:write(array)", "ENOSPC", "dev_full", function() return full:write { "x", "y" } end },
    { "fs.writefile", "ENOSPC", "dev_full", function() return fs.writefile("/dev/full", "x") end },
    { "fs.copy", "ENOSPC", "file -> dev_full", function() return fs.copy(t.file, "/dev/full") end },
    { "File:read of no memory", "EIO", "mem", function()
      local mem = assert(fs.open(t.mem))
      local data, message, code = mem:pread(1, 0)
      mem:close()
      return data, message, code
    end },
    { "fs.readfile of no memory", "EIO", "mem", function() return fs.readfile(t.mem) end },

    -- A socket's name.
    { "File:fsync", "EBADF", "socket", function() return socket:fsync() end },
    { "File:read", "EBADF", "socket", function() return socket:read(1) end },
  })

  it("File:write answers EPIPE for a FIFO without a reader", function()
    local reader = assert(fs.open(t.fifo, flags.RDONLY + flags.NONBLOCK))
    local writer = assert(fs.open(t.fifo, flags.WRONLY))
    fifo:close()
    reader:close()
    refusals.assert_refused("EPIPE", t.fifo, false, writer:write "x")
    writer:close()
    fifo = assert(fs.open(t.fifo, flags.RDWR))
  end)

  it("File:read answers EINVAL for DIRECT without alignment", function()
    local file, _, code = fs.open(t.file, flags.RDWR + flags.DIRECT)
    if not file then
      assert.equal("EINVAL", code)
      pending "the file system has no O_DIRECT"
    end
    local result = { file:pread(1, 1) }
    file:close()
    if result[1] then
      pending "the file system takes any alignment"
    end
    refusals.assert_refused("EINVAL", t.file, false, unpack(result, 1, 3))
  end)

  it("File:lock answers EAGAIN, and ETIMEDOUT after a while, for a lock of another", function()
    assert.is_true(reading:lock("exclusive"))
    refusals.assert_refused("EAGAIN", t.file, false, writing:lock("exclusive", 0))
    refusals.assert_refused("EAGAIN", t.file, false, writing:lock("shared", 0))
    assert.equal("ETIMEDOUT", (select(3, writing:lock("shared", 0.001))))
    assert.is_true(reading:unlock())
  end)

  it("leaves all as it was where it is refused", function()
    t.assert_unchanged()
  end)
end)

-- ---- sizes beyond the file system's -------------------------------------------------------------

describe("the end of the largest file that halo knows", function()
  local t = refusals.fixture()
  local file

  setup(function()
    file = assert(fs.open(t.file, "r+"))
  end)

  teardown(function()
    file:close()
  end)

  local rows = {
    { "fs.truncate", "EFBIG", "file", function() return fs.truncate(t.file, MAX) end },
    { "File:truncate", "EFBIG", "file", function() return file:truncate(MAX) end },
    { "File:write", "EFBIG", "file", function() return file:pwrite("x", MAX) end },
    { "File:fallocate", "EFBIG", "file", function() return file:fallocate(MAX, 1) end,
      either = "ENOSPC" },
  }
  for _, row in ipairs(rows) do
    row.allowed = "this file system has files of that size"
  end
  refusals.expand(t, rows)
end)

describe("a refused call on a File", function()
  local t = refusals.fixture()

  it("tells of writing where it would have written", function()
    local file = assert(fs.open(t.file))
    local ok, message, code = file:fallocate(0, 1)
    file:close()
    assert.refused("EBADF: the file is not open for writing: " .. t.file, ok, message, code)
  end)

  it("does not tell of reading where it is about neither", function()
    local file = assert(fs.open(t.file, flags.PATH))
    local _, message = file:chmod(420)
    file:close()
    assert.not_matches("reading", message)
  end)

  it("tells that the file is closed", function()
    local file = assert(fs.open(t.file))
    file:close()
    local expected = "EBADF: the file is closed: " .. t.file
    assert.refused(expected, file:seek("set", 0))
    assert.refused(expected, file:seek("cur", 0))
    assert.refused(expected, file:tell())
  end)

  it("needs no buffer to be refused", function()
    local file = assert(fs.open(t.file))
    file:close()
    refusals.assert_refused("EBADF", t.file, false, file:readv {})
  end)

  it("answers EINVAL, as lseek(2), for a place before the start", function()
    local file = assert(fs.open(t.file))
    finally(function() file:close() end)
    refusals.assert_refused("EINVAL", t.file, false, file:seek("cur", -1))
    refusals.assert_refused("EINVAL", t.file, false, file:seek("end", -8))
  end)

  it("answers ESPIPE on each engine where pwrite(2) does", function()
    local file = assert(fs.open "/proc/self/status")
    finally(function() file:close() end)
    refusals.assert_refused("ESPIPE", "/proc/self/status", false, file:pwrite("x", 0))
  end)
end)

-- ---- extended attributes ------------------------------------------------------------------------

describe("extended attributes", function()
  local dir = temp.dir()

  ---name, code and the rest of a call on a path and on an open file.
  local rows = {
    { "getxattr", "ENODATA", "user.none" },
    { "removexattr", "ENODATA", "user.none" },
    { "setxattr", "ENODATA", "user.none", "x", { replace = true } },
    { "setxattr", "EEXIST", "user.there", "x", { create = true } },
    { "setxattr", "E2BIG", "user.there", ("v"):rep(65537) },
    { "getxattr", "ERANGE", "user." .. ("n"):rep(251) },
    { "setxattr", "ERANGE", "user." .. ("n"):rep(251), "x" },
    { "removexattr", "ERANGE", "user." .. ("n"):rep(251) },
    { "getxattr", "ERANGE", "" },
    { "setxattr", "ERANGE", "", "x" },
    { "removexattr", "ERANGE", "" },
    { "getxattr", "EOPNOTSUPP", "nobody.knows" },
    { "setxattr", "EOPNOTSUPP", "nobody.knows", "x" },
    { "removexattr", "EOPNOTSUPP", "nobody.knows" },
    { "setxattr", "EINVAL", "user.", "x" },
  }

  for _, row in ipairs(rows) do
    local name, code = row[1], row[2]
    local case = #row[3] > 20 and row[3]:sub(1, 8) .. "..." or row[3]
    it(("%s answers %s for the attribute '%s'"):format(name, code, case), function()
      local path = dir:file "file"
      if select(3, fs.setxattr(path, "user.there", "value")) == "EOPNOTSUPP" then
        pending "this file system has no extended attributes"
      end
      local file = assert(fs.open(path, "r+"))
      refusals.assert_refused(code, path, false, fs[name](path, unpack(row, 3, 5)))
      refusals.assert_refused(code, path, false, file[name](file, unpack(row, 3, 5)))
      file:close()
    end)
  end

  it("are those of a symbolic link itself where that is asked for", function()
    local link = dir:symlink("link", "nowhere")
    for _, name in ipairs { "lgetxattr", "lremovexattr", "lsetxattr" } do
      local ok, _, code = fs[name](link, "user.note", name == "lsetxattr" and "x" or nil)
      assert.is_nil(ok)
      assert.is_true(code == "EPERM" or code == "ENODATA" or code == "EOPNOTSUPP", code)
    end
    local names = assert(fs.llistxattr(link))
    if fs.lsetxattr(link, "trusted.note", "of the link") then
      assert.equal("of the link", fs.lgetxattr(link, "trusted.note"))
      assert.equal(#names + 1, #fs.llistxattr(link))
      assert.is_true(fs.lremovexattr(link, "trusted.note"))
      assert.same(names, fs.llistxattr(link))
    end
    refusals.assert_refused("ENOENT", link, false, fs.getxattr(link, "user.note"))
  end)

  it("answer EOPNOTSUPP where the file system has none", function()
    refusals.assert_refused("EOPNOTSUPP", "/proc/self/status", false,
      fs.getxattr("/proc/self/status", "user.none"))
  end)
end)

-- ---- a program that is running ------------------------------------------------------------------

describe("a program that is running", function()
  local dir = temp.dir()
  local process, path, other

  before_each(function()
    path, other = dir:path "busy", dir:file("other", "data")
    assert.equal(0, os.execute(command.quote("cp", "/bin/cat", path)))
    process = command.start(command.quote(path))
    process:type "ready\n"
    process:await "ready\n" -- it is cat by now, no more the shell that has become it
  end)

  after_each(function()
    process:finish()
  end)

  for name, call in pairs {
    ["fs.open(r+)"] = function() return fs.open(path, "r+") end,
    ["fs.open(a)"] = function() return fs.open(path, "a") end,
    ["fs.open(w)"] = function() return fs.open(path, "w") end,
    ["fs.create"] = function() return fs.create(path) end,
    ["fs.truncate"] = function() return fs.truncate(path, 0) end,
    ["fs.writefile"] = function() return fs.writefile(path, "x") end,
    ["fs.writefile(append)"] = function() return fs.writefile(path, "x", { append = true }) end,
  } do
    it(name .. " answers ETXTBSY", function()
      refusals.assert_refused("ETXTBSY", path, false, call())
    end)
  end

  it("fs.copy answers ETXTBSY", function()
    refusals.assert_refused("ETXTBSY", other .. " -> " .. path, false, fs.copy(other, path))
  end)

  it("can be replaced, by rename or atomically", function()
    assert.is_true(fs.writefile(path, "x", { atomic = true }))
    assert.is_true(fs.rename(other, path))
  end)
end)
