-- Arguments that are no use: each call raises, at the caller's line, and names itself and the
-- argument, before it has done anything. No value of a wrong kind passes for one of the right kind.

local halo = require "halo"
local catalog = require "spec.support.catalog"
local refusals = require "spec.support.refusals"

local fs = halo.fs

-- ---- what a misuse is ---------------------------------------------------------------------------

local function show(value)
  return type(value) == "string" and ("%q"):format(value) or tostring(value)
end

---Asserts that a function of one line raises there, with a message that begins like this.
local function assert_misuse(expected, call, value)
  local ok, message = pcall(call, value)
  local place = debug.getinfo(call, "S")
  expected = ("%s:%d: %s"):format(place.short_src, place.linedefined, expected)
  assert.is_false(ok, show(value) .. " was taken")
  assert.equal(expected, tostring(message):sub(1, #expected), show(value) .. ": " .. message)
end

local NONE = {} -- stands for nil in a list

---Values that are neither strings nor Files, and what they are called.
local function foreign_values()
  return { NONE, true, 12, {}, print, io.stdout, coroutine.create(print) }
end

local function each_value(values, fn)
  for _, value in ipairs(values) do
    if value == NONE then
      fn(nil)
    else
      fn(value)
    end
  end
end

-- ---- paths --------------------------------------------------------------------------------------

local NUL = "(the path contains a NUL byte)"
local defaults = { tempfile = true, mkstemp = true, mkdtemp = true, ["Dir:readdir"] = true,
  ["Dir:tempfile"] = true, ["Dir:mkstemp"] = true, ["Dir:mkdtemp"] = true }

---Asserts that an argument has to be a path: call takes it, and may have a default.
local function assert_takes_path(position, says, call, options)
  local bad = ("bad argument #%d to '%s' "):format(position, says)
  each_value(foreign_values(), function(value)
    if value ~= nil or not options.default then
      local got = "(path (a string) expected, got " .. (value == nil and "n" or type(value))
      assert_misuse(bad .. got, call, value)
    end
  end)
  for _, path in ipairs { "\0", "/etc\0/passwd", "/etc/passwd\0" } do
    assert_misuse(bad .. NUL, call, path)
  end
end

describe("a path that is none", function()
  local t = refusals.fixture()
  local seen = {}

  for _, entry in ipairs(catalog.paths) do
    local name = entry[1]
    if not seen[name] then
      seen[name] = true
      it(("is a misuse of fs.%s"):format(name), function()
        local call, arguments = fs[name], { unpack(entry, 3, table.maxn(entry)) }
        assert_takes_path(1, entry.says or name,
          function(path) call(path, unpack(arguments)) end, { default = defaults[name] })
      end)
    end
  end

  for _, name in ipairs { "glob", "poll" } do
    it(("is a misuse of fs.%s"):format(name), function()
      assert_takes_path(1, name, function(path) fs[name](path) end, {})
    end)
  end

  for _, entry in ipairs(catalog.dir_paths) do
    local name = entry[1]
    it(("is a misuse of Dir:%s"):format(entry.label or name), function()
      local call, arguments = t.at[name], { unpack(entry, 3, table.maxn(entry)) }
      assert_takes_path(1, entry.says or name,
        function(path) call(t.at, path, unpack(arguments)) end,
        { default = defaults["Dir:" .. name] })
    end)
  end

  for _, entry in ipairs(catalog.pairs) do
    it(("is a misuse of fs.%s, as either of two"):format(entry[1]), function()
      local call = fs[entry[1]]
      assert_takes_path(1, entry[1], function(path) call(path, t.free) end, {})
      assert_takes_path(2, entry[1], function(path) call(t.file, path) end, {})
    end)
  end

  for _, entry in ipairs(catalog.dir_pairs) do
    it(("is a misuse of Dir:%s, as either of two"):format(entry[1]), function()
      local call = t.at[entry[1]]
      assert_takes_path(1, entry[1], function(path) call(t.at, path, "free") end, {})
      assert_takes_path(2, entry[1], function(path) call(t.at, "file", path) end, {})
    end)
  end

  -- Dir's own calls put a File before the path; a user who does is mistaken.
  local takes_files = { at = true, lines = true, statfs = true, hash = true, getxattr = true,
    setxattr = true, listxattr = true, removexattr = true }
  for _, entry in ipairs(catalog.paths) do
    local name = entry[1]
    if not takes_files[name] then
      takes_files[name] = true
      it(("is a misuse of fs.%s, be it a File"):format(name), function()
        local file, arguments = assert(fs.open(t.dir)), { unpack(entry, 3, table.maxn(entry)) }
        local expected = "bad argument #1 to '%s' (path (a string) expected, got userdata"
        assert_misuse(expected:format(entry.says or name),
          function(path) fs[name](path, unpack(arguments)) end, file)
        file:close()
      end)
    end
  end

  it("leaves all as it was", function()
    t.assert_unchanged()
  end)
end)

-- ---- handles ------------------------------------------------------------------------------------

describe("what is no File", function()
  local t = refusals.fixture()

  for _, entry in ipairs(catalog.files) do
    local name = entry[1]
    it(("is a misuse of fs.%s"):format(name), function()
      local expected = entry.by_path and "path (a string) expected, got " or "File expected, got "
      local call, arguments = fs[name], { unpack(entry, 2, table.maxn(entry)) }
      local values = foreign_values()
      table.insert(values, t.at)
      table.insert(values, halo.buffer(1))
      table.insert(values, not entry.by_path and t.file or nil)
      each_value(values, function(value)
        assert_misuse(("bad argument #1 to '%s' (%s"):format(entry.says or name, expected),
          function(file) call(file, unpack(arguments)) end, value)
      end)
    end)
  end

  for _, name in ipairs { "is_open", "path", "fd" } do
    it(("is a misuse of File:%s"):format(name), function()
      local call = require("halo.core").File[name]
      each_value(foreign_values(), function(value)
        assert_misuse(("bad argument #1 to '%s' (File expected, got "):format(name),
          function(file) call(file) end, value)
      end)
    end)
  end
end)

describe("what is no Dir", function()
  local t = refusals.fixture()

  local arguments = {
    rename = { "free", "free" }, link = { "file", "free" }, symlink = { "x", "free" }, close = {},
    chmod = { "file", 420 },
  }

  for name, method in pairs(getmetatable(assert(fs.at "/"))) do
    if type(method) == "function" and not name:match "^__" then
      it(("is a misuse of Dir:%s"):format(name), function()
        local rest = arguments[name] or { "file" }
        local file = assert(fs.open(t.dir))
        local values = foreign_values()
        table.insert(values, t.root)
        table.insert(values, file)
        each_value(values, function(value)
          assert_misuse(("calling '%s' on bad self (Dir expected, got "):format(name),
            function(self) method(self, unpack(rest)) end, value)
        end)
        file:close()
      end)
    end
  end
end)

-- ---- numbers ------------------------------------------------------------------------------------

local ID_MAX, OFFSET_MAX, DEVICE_MAX = 2 ^ 32 - 2, 2 ^ 53, 2 ^ 32 - 1

---Numbers that are no whole ones from 0 to a most, and what only looks like a number.
local function bad_numbers(most)
  return { -1, -0.5, 1.5, most + 2, 2 ^ 63, 2 ^ 64, 1 / 0, -1 / 0, 0 / 0, "12", "x", {}, true,
    print }
end

---Where fractions, or what is below 0, have a meaning.
local bad_times = { 1 / 0, -1 / 0, 0 / 0, 2 ^ 54, "12", "", {}, { "1" }, { 0 / 0 }, true, print }
local bad_perms = { -1, -0.5, 1.5, 12288, 2 ^ 63, 1 / 0, -1 / 0, 0 / 0, 644, 755, "8", "10000", "x",
  "", "u=q", true, print }
local bad_seconds = { -1, -1 / 0, 0 / 0, "12", {}, true }

describe("a number that is none of a call's", function()
  local t = refusals.fixture()
  local file
  local buffer = halo.buffer(8)

  setup(function()
    file = assert(fs.open(t.file, "r+"))
  end)

  teardown(function()
    file:close()
  end)

  -- The call, the argument's place, the most it may be or the values that it may not, and the call.
  local rows = {
    { "open", 2, 2 ^ 31 - 1, function(n) fs.open(t.file, n) end },
    { "open", 3, bad_perms, function(n) fs.open(t.free, "w", n) end },
    { "chmod", 2, bad_perms, function(n) fs.chmod(t.file, n) end },
    { "chmod", 2, { NONE, {}, 8 * 2 ^ 12 - 1 }, function(n) fs.chmod(t.file, n) end },
    { "fchmod", 2, { NONE, {}, 8 * 2 ^ 12 - 1 }, function(n) fs.fchmod(file, n) end },
    { "fchmod", 2, bad_perms, function(n) fs.fchmod(file, n) end },
    { "mkdir", 2, bad_perms, function(n) fs.mkdir(t.free, { perm = n }) end },
    { "mkdir(parents)", 2, bad_perms,
      function(n) fs.mkdir(t.free, { parents = true, perm = n }) end },
    { "mkfifo", 2, bad_perms, function(n) fs.mkfifo(t.free, n) end },
    { "mknod(perm)", 3, bad_perms, function(n) fs.mknod(t.free, "file", n) end },
    { "mknod(major)", 4, DEVICE_MAX, function(n) fs.mknod(t.free, "char", nil, n) end },
    { "mknod(minor)", 5, DEVICE_MAX, function(n) fs.mknod(t.free, "char", nil, 1, n) end },
    { "umask", 1, bad_perms, function(n) fs.umask(n) end },
    { "writefile(perm)", 3, bad_perms, function(n) fs.writefile(t.free, "x", { perm = n }) end },
    { "chown(uid)", 2, ID_MAX, function(n) fs.chown(t.file, n) end },
    { "chown(gid)", 3, ID_MAX, function(n) fs.chown(t.file, nil, n) end },
    { "lchown(uid)", 2, ID_MAX, function(n) fs.lchown(t.file, n) end },
    { "lchown(gid)", 3, ID_MAX, function(n) fs.lchown(t.file, nil, n) end },
    { "fchown(uid)", 2, ID_MAX, function(n) fs.fchown(file, n) end },
    { "fchown(gid)", 3, ID_MAX, function(n) fs.fchown(file, nil, n) end },
    { "truncate", 2, OFFSET_MAX, function(n) fs.truncate(t.file, n) end },
    { "ftruncate", 2, OFFSET_MAX, function(n) fs.ftruncate(file, n) end },
    { "read(n)", 2, OFFSET_MAX, function(n) fs.read(file, n) end },
    { "read(n)", 1, OFFSET_MAX, function(n) file:read(n) end },
    { "pread(n)", 2, OFFSET_MAX, function(n) fs.pread(file, n, 0) end },
    { "pread(offset)", 3, OFFSET_MAX, function(n) fs.pread(file, 1, n) end },
    { "read_into(n)", 3, 8, function(n) fs.read_into(file, buffer, n) end },
    { "pread_into(n)", 3, 8, function(n) fs.pread_into(file, buffer, n, 0) end },
    { "pread_into(offset)", 4, OFFSET_MAX, function(n) fs.pread_into(file, buffer, 1, n) end },
    { "pwrite", 3, OFFSET_MAX, function(n) fs.pwrite(file, "x", n) end },
    { "fadvise(offset)", 3, OFFSET_MAX, function(n) fs.fadvise(file, "normal", n) end },
    { "fadvise(length)", 4, OFFSET_MAX, function(n) fs.fadvise(file, "normal", 0, n) end },
    { "seek(data)", 3, OFFSET_MAX, function(n) fs.seek(file, "data", n) end },
    { "seek(hole)", 3, OFFSET_MAX, function(n) fs.seek(file, "hole", n) end },
    { "utime(atime)", 2, bad_times, function(n) fs.utime(t.file, n) end },
    { "utime(mtime)", 3, bad_times, function(n) fs.utime(t.file, nil, n) end },
    { "lutime(atime)", 2, bad_times, function(n) fs.lutime(t.file, n) end },
    { "lutime(mtime)", 3, bad_times, function(n) fs.lutime(t.file, nil, n) end },
    { "futime(atime)", 2, bad_times, function(n) fs.futime(file, n) end },
    { "futime(mtime)", 3, bad_times, function(n) fs.futime(file, nil, n) end },
    { "lines", 3, { -1, 1.5, 1 / 0, -1 / 0, 0 / 0, "12", {}, true },
      function(n) fs.lines(t.file, false, n) end },
    { "walk(depth)", 2, { 0, -1, 0 / 0, "12", {}, true },
      function(n) fs.walk(t.root, { depth = n }) end },
    { "poll", 2, bad_seconds, function(n) fs.poll(t.root, n) end },
    { "open", 3, bad_perms, function(n) t.at:open("free", "w", n) end },
    { "create", 2, bad_perms, function(n) t.at:create("free", n) end },
    { "chmod", 2, bad_perms, function(n) t.at:chmod("file", n) end },
    { "chown(uid)", 2, ID_MAX, function(n) t.at:chown("file", n) end },
    { "chown(gid)", 3, ID_MAX, function(n) t.at:chown("file", nil, n) end },
    { "lchown(uid)", 2, ID_MAX, function(n) t.at:lchown("file", n) end },
    { "lchown(gid)", 3, ID_MAX, function(n) t.at:lchown("file", nil, n) end },
    { "mkdir", 2, bad_perms, function(n) t.at:mkdir("free", { perm = n }) end },
    { "mkfifo", 2, bad_perms, function(n) t.at:mkfifo("free", n) end },
    { "utime(atime)", 2, bad_times, function(n) t.at:utime("file", n) end },

    { "create", 2, bad_perms, function(n) fs.create(t.free, n) end },
    { "fallocate(offset)", 2, OFFSET_MAX, function(n) fs.fallocate(file, n, 1) end },
    { "fallocate(length)", 3, OFFSET_MAX, function(n) fs.fallocate(file, 0, n) end },
    { "sync_file_range(offset)", 2, OFFSET_MAX, function(n) fs.sync_file_range(file, n) end },
    { "sync_file_range(length)", 3, OFFSET_MAX, function(n) fs.sync_file_range(file, 0, n) end },
    { "seek(set)", 3, OFFSET_MAX, function(n) fs.seek(file, "set", n) end },
    { "seek(cur)", 3, { 1.5, 0 / 0, 1 / 0, "12", "x", {}, true, false },
      function(n) fs.seek(file, "cur", n) end },
    { "seek(end)", 3, { 1.5, 0 / 0, 1 / 0, "12", "x", {}, true, false },
      function(n) fs.seek(file, "end", n) end },
    { "lock(timeout)", 3, bad_seconds, function(n) fs.lock(file, "shared", n) end },
    { "utime(nanoseconds)", 2, { { 1, -1 }, { 1, 1e9 }, { 1, 1.5 } },
      function(n) fs.utime(t.file, n) end },
    { "futime(nanoseconds)", 3, { { 1, -1 }, { 1, 1e9 }, { 1, 1.5 } },
      function(n) fs.futime(file, nil, n) end },
    { "lines", 3, { 2 ^ 54 }, function(n) fs.lines(t.file, false, n)() end },

    { "lutime(mtime)", 3, bad_times, function(n) t.at:lutime("file", nil, n) end },
  }

  for _, row in ipairs(rows) do
    it(("is a misuse of %s"):format(row[1]), function()
      local expected = ("bad argument #%d to '%s' ("):format(row[2], row[1]:match "^[%w_]+")
      each_value(type(row[3]) == "table" and row[3] or bad_numbers(row[3]), function(value)
        assert_misuse(expected, row[4], value)
      end)
    end)
  end

  for _, row in ipairs {
    { "truncate", function() fs.truncate(t.file) end },
    { "ftruncate", function() fs.ftruncate(file) end },
  } do
    it(("may not be left out of %s"):format(row[1]), function()
      assert_misuse(("bad argument #2 to '%s' (number expected, got n"):format(row[1]), row[2])
    end)
  end

  it("leaves all as it was", function()
    t.assert_unchanged()
  end)
end)

-- ---- options, words and data --------------------------------------------------------------------

describe("an argument of the wrong kind", function()
  local t = refusals.fixture()
  local file
  local buffer = halo.buffer(8)
  local no_options = { 12, "x", true, print, io.stdout, { nope = true }, { "order" } }
  local no_string = { true, {}, print, io.stdout }
  local no_word = { "nope", "", 12, true, {}, print }
  local no_data = { NONE, true, print, io.stdout, { true }, { "x", {} }, { { "x" } } }

  setup(function()
    file = assert(fs.open(t.file, "r+"))
  end)

  teardown(function()
    file:close()
  end)

  local rows = {
    { "copy", 3, no_options, function(o) fs.copy(t.file, t.free, o) end },
    { "copytree", 3, no_options, function(o) fs.copytree(t.dir, t.free, o) end },
    { "move", 3, no_options, function(o) fs.move(t.file, t.free, o) end },
    { "rmtree", 2, no_options, function(o) fs.rmtree(t.free, o) end },
    { "walk", 2, no_options, function(o) fs.walk(t.root, o) end },
    { "glob", 2, no_options, function(o) fs.glob("*", o) end },
    { "watch", 2, no_options, function(o) fs.watch(t.root, o) end },
    { "writefile", 3, no_options, function(o) fs.writefile(t.free, "x", o) end },
    { "mkdir", 2, { "x", true, print, { parent = true } }, function(o) fs.mkdir(t.free, o) end },
    { "rename", 3, no_options, function(o) t.at:rename("file", "free", o) end },
    { "glob(dir)", 2, { 12, true, {}, "a\0b" }, function(d) fs.glob("*", { dir = d }) end },
    { "walk(prune)", 2, { 12, true, "x", {} }, function(f) fs.walk(t.root, { prune = f }) end },
    { "walk(filter)", 2, { 12, true, "x", {} }, function(f) fs.walk(t.root, { filter = f }) end },
    { "walk(on_error)", 2, { 12, {} }, function(f) fs.walk(t.root, { on_error = f }) end },
    { "watch(events)", 2, { 12, true, "create", { "nope" }, { 12 } },
      function(e) fs.watch(t.root, { events = e }) end },
    { "writefile(both)", 3, { true },
      function(a) fs.writefile(t.free, "x", { atomic = true, append = a }) end },
    { "open", 2, { "", "x", "rw", "r\0", "R", {}, true, print },
      function(mode) fs.open(t.file, mode) end },
    { "open", 2, { "", "x", {}, true }, function(mode) t.at:open("file", mode) end },
    { "access", 2, { "q", "rq", "r\0" }, function(how) fs.access(t.file, how) end },
    { "access", 2, { "q", "rq", 12, {}, true }, function(how) t.at:access("file", how) end },
    { "fadvise", 2, no_word, function(word) fs.fadvise(file, word) end },
    { "seek", 2, { "nope", "", 12, true, {}, print }, function(word) fs.seek(file, word) end },
    { "stat", 2, no_word, function(field) fs.stat(t.file, field) end },
    { "stat", 1, no_word, function(field) file:stat(field) end },
    { "getxattr", 2, { NONE, "a\0b", 12, true, {} }, function(name) fs.getxattr(t.file, name) end },
    { "setxattr", 2, { NONE, "a\0b", 12, true }, function(n) fs.setxattr(t.file, n, "x") end },
    { "removexattr", 2, { NONE, "a\0b", 12, {} }, function(n) fs.removexattr(t.file, n) end },
    { "setxattr", 3, no_string, function(value) fs.setxattr(t.file, "user.x", value) end },
    { "setxattr", 2, { NONE, 12 }, function(value) file:setxattr("user.x", value) end },
    { "write", 2, no_data, function(data) fs.write(file, data) end },
    { "write", 3, no_data, function(data) fs.write(file, "x", data) end },
    { "write", 1, no_data, function(data) file:write(data) end },
    { "pwrite", 2, no_data, function(data) fs.pwrite(file, data, 0) end },
    { "lines", 2, { "l", "n", "*L", 1, {}, print }, function(k) fs.lines(t.file, k) end },
    { "lines", 1, { "l", "n", "*L", 1024 }, function(k) file:lines(k) end },
    { "setvbuf", 1, { NONE, "line", "x", 1, true, {} }, function(mode) file:setvbuf(mode) end },
    { "setvbuf", 3, { 0, -1, 1.5, 2 ^ 31, 0 / 0, "x", {}, false },
      function(size) fs.setvbuf(file, "full", size) end },
    { "open", 3, { { bufer = 1 }, { buffer = 0 }, { buffer = "x" }, { buffer = 2 ^ 31 }, { "x" } },
      function(o) fs.open(t.file, "r+", o) end },
    { "open", 3, { { buffer = 1 } }, function(o) fs.open(t.file, "r", o) end },
    { "create", 2, { { buffer = -1 }, { mode = 1 } }, function(o) fs.create(t.free, o) end },
    { "lock", 2, { NONE, true, false, "ex", "EXCLUSIVE", "x", "", 1, 0, {} },
      function(mode) fs.lock(file, mode) end },
    { "lock", 1, { NONE, true, "ex", 5 }, function(mode) file:lock(mode) end },
    { "lock", 1, { NONE, true, "ex", 5 }, function(mode) file:lock(mode, 0) end },
    { "read", 1, { NONE, "l", "n", "L", "*l", "*n", "*a", "A", {}, true },
      function(n) file:read(n) end },
    { "read", 2, { NONE, 0, 1, "x" }, function(offset) file:read(1, offset) end },
    { "read", 2, { NONE, 0, 1, "x" }, function(offset) file:read("a", offset) end },
    { "read_into", 3, { NONE, 0, 1 }, function(offset) file:read_into(buffer, 1, offset) end },
    { "readv", 2, { NONE, 0, 1 }, function(offset) file:readv({ buffer }, offset) end },
    { "pread", 2, { NONE, "x" }, function(offset) file:pread(1, offset) end },
    { "pread_into", 3, { NONE, "x" }, function(offset) file:pread_into(buffer, 1, offset) end },
    { "pwrite", 2, { NONE, "x" }, function(offset) file:pwrite("x", offset) end },
    { "writefile", 2, no_data, function(data) fs.writefile(t.free, data) end },
    { "read_into", 2, { NONE, "x", 12, {}, io.stdout }, function(b) fs.read_into(file, b) end },
    { "readfile_into", 2, { NONE, "x", 12, {} }, function(b) fs.readfile_into(t.file, b) end },
    { "read_into", 3, { 9, OFFSET_MAX }, function(n) fs.read_into(file, buffer, n) end },

    { "rename", 3, no_options, function(o) fs.rename(t.file, t.free, o) end },
    { "setxattr", 4, no_options, function(o) fs.setxattr(t.file, "user.x", "x", o) end },
    { "fallocate", 4, no_options, function(o) fs.fallocate(file, 0, 1, o) end },
    { "sync_file_range", 4, no_options, function(o) fs.sync_file_range(file, 0, 1, o) end },
    { "sync_file_range", 4, { false }, function(o) fs.sync_file_range(file, 0, 1, o) end },
    { "seek(of no file)", 1, foreign_values(), function(f) fs.seek(f, "cur") end },
    { "seek(of no file)", 1, foreign_values(), function(f) fs.seek(f, "end") end },
    { "lock(of no file)", 1, foreign_values(), function(f) fs.lock(f, "shared", 1) end },
    { "mknod", 2, { "nope", "", 12, {}, true }, function(kind) fs.mknod(t.free, kind) end },
    { "access", 2, { 12, {}, true }, function(how) fs.access(t.file, how) end },
    { "readv", 2, { NONE, 12, "x", { 12 }, { "x" } }, function(b) fs.readv(file, b) end },
    { "lstat", 2, no_word, function(field) fs.lstat(t.file, field) end },
    { "fstat", 2, no_word, function(field) fs.fstat(file, field) end },
    { "stat(of nothing)", 2, no_word, function(field) fs.stat(t.missing, field) end },
  }

  for _, row in ipairs(rows) do
    it(("is a misuse of %s, as its argument #%d"):format(row[1], row[2]), function()
      local expected = ("bad argument #%d to '%s' ("):format(row[2], row[1]:match "^[%w_]+")
      each_value(row[3], function(value)
        assert_misuse(expected, row[4], value)
      end)
    end)
  end

  it("leaves all as it was", function()
    t.assert_unchanged()
  end)
end)
