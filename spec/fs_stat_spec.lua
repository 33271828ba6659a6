-- What stat, lstat and fstat return: an object that reads as a table of its fields.

local halo = require "halo"
local fs = halo.fs
local ffi = require "ffi"
local command = require "spec.support.command"
local temp = require "spec.support.temp"
require "spec.support.assertions"

local function octal(digits)
  return tonumber(digits, 8)
end

local types = {
  type = "string", id = "string", is_file = "boolean", is_dir = "boolean", is_symlink = "boolean",
  size = "number", mode = "number", perm = "number", uid = "number", gid = "number",
  atime = "number", atime_nsec = "number", mtime = "number", mtime_nsec = "number",
  ctime = "number", ctime_nsec = "number", btime = "number", btime_nsec = "number",
  ino = "number", dev = "number", rdev = "number", nlink = "number", blocks = "number",
  blksize = "number",
}

---A stat of a file that there is not here: the fields of C's struct, the others 0.
local function made_of(fields)
  return ffi.typeof(fs.stat "/")(fields)
end

---Asserts that a function raises at its line. Which fields there are stands behind the text.
local function assert_no_field(text, call)
  local ok, message = pcall(call)
  local place = debug.getinfo(call, "S")
  local expected = ("%s:%d: %s, but type, is_file"):format(place.short_src, place.linedefined, text)
  assert.is_false(ok)
  assert.equal(expected, message:sub(1, #expected))
end

describe("a stat", function()
  local dir = temp.dir()

  it("has each field, as a number, a boolean or a string, whoever gives it", function()
    local path = dir:file("file", "content")
    local file, at = assert(fs.open(path)), assert(fs.at(dir.root))
    local of_walk = select(2, fs.walk(dir.root, { stat = true })()).stat
    local all = { fs.stat(path), fs.lstat(path), file:stat(), fs.fstat(file), at:stat "file",
      at:lstat "file", of_walk }
    assert.equal(7, #all)
    for i, stat in ipairs(all) do
      for field, expected in pairs(types) do
        assert.equal(expected, type(stat[field]), i .. ": " .. field)
        assert.equal(all[1][field], stat[field], i .. ": " .. field)
        assert.equal(stat[field], fs.lstat(path, field), field)
      end
      assert.is_true(all[1] == stat)
    end
    file:close()
    at:close()
  end)

  it("has the twelve bits of permission by themselves", function()
    local path = dir:file "bits"
    assert(fs.chmod(path, octal "6751"))
    assert.equal(octal "6751", fs.stat(path).perm)
    assert.equal(octal "106751", fs.stat(path).mode)
  end)

  it("has no other field, of whatever type its name is: nil would pass for false", function()
    local stat = fs.stat "/"
    for _, name in ipairs { "sise", "", "table_", 1, 0, 1.5, true, stat, {}, print } do
      assert_no_field(("a stat has no field '%s'"):format(tostring(name)),
        function() return (stat[name]) end)
    end
  end)

  it("goes through pairs, and makes a plain table", function()
    local stat, seen = fs.stat "/", {}
    for name, value in pairs(stat) do
      assert.is_nil(seen[name])
      seen[name] = value
      assert.equal(types[name], type(value), name)
    end
    local copy = stat:table()
    assert.same(seen, copy)
    assert.is_nil(getmetatable(copy))
    assert.equal(seen.btime and 24 or 22, #(function()
      local names = {}
      for name in pairs(copy) do names[#names + 1] = name end
      return names
    end)())
  end)

  it("leaves out the time of birth where there is none", function()
    local stat = made_of { mode = octal "100644", _birth = 1, _cbtime_nsec = 0xffffffff00000007ULL }
    assert.is_nil(stat.btime)
    assert.is_nil(stat.btime_nsec)
    assert.equal(7, stat.ctime_nsec)
    for name in pairs(stat) do assert.is_nil(name:match "^btime") end
    assert.is_nil(stat:table().btime)
    assert.not_matches("btime", tostring(stat))
    stat = fs.stat "/proc/self/stat"
    assert.is_nil(stat.btime)
    assert.same({}, { fs.stat("/proc/self/stat", "btime") })
    assert.equal(0, (fs.stat("/proc/self/stat", "size", "btime")))
  end)

  it("is printed as what it is", function()
    local stat = fs.stat(dir:file("printed", ("x"):rep(12)))
    local text = tostring(stat)
    assert.matches('^stat { type = "file", .*size = 12, mode = 33%d%d%d, .*id = "%x+:%x+" }$', text)
    assert.matches("ino = " .. ("%.0f"):format(stat.ino) .. ",", text, 1, true)
    local shown = require "halo.terminal.show"(stat)
    assert.matches("^stat {\n  atime = %d+,\n", shown)
    assert.matches("\n  size = 12,\n", shown)
  end)

  it("compares by its fields, and with anything else", function()
    local path = dir:file("compared", "x")
    local stat, same, other = fs.stat(path), fs.stat(path), fs.stat "/"
    assert.is_true(stat == same and stat ~= other)
    assert.is_false(stat ~= same or stat == other)
    for _, value in ipairs { true, false, 1, "", {}, print } do
      assert.is_false(stat == value)
      assert.is_true(stat ~= value)
    end
    assert.is_false(stat == nil or nil == stat)
    assert.same({ of = stat }, { of = same })
  end)

  it("cannot be changed, and says so", function()
    local stat = fs.stat "/"
    for _, field in ipairs { "size", "type", "new" } do
      local ok, message = pcall(function() stat[field] = 1 end)
      assert.is_false(ok)
      assert.matches("^spec/fs_stat_spec.lua:%d+: ", message)
      assert.matches(field == "size" and "constant" or "cannot be set", message)
    end
    assert.is_true(stat.size ~= 1 and stat.type == "dir")
  end)

  describe("'s id", function()
    it("is the same for each name of a file, and for no other", function()
      local path = dir:file "first"
      assert(fs.link(path, dir:path "second"))
      assert(fs.symlink("first", dir:path "third"))
      local seen = {}
      for _, name in ipairs { "first", "second", "third" } do
        seen[fs.stat(dir:path(name)).id] = true
      end
      assert.equal(fs.stat(path, "id"), next(seen))
      assert.is_nil(next(seen, (next(seen))))
      assert.not_equal(fs.stat(path, "id"), fs.lstat(dir:path "third", "id"))
      assert.not_equal(fs.stat("/proc", "id"), fs.stat("/sys", "id"))
    end)

    it("is exact where a number is not", function()
      local ids, count = {}, 0
      for _, dev in ipairs { 0ULL, 1ULL, 0xfe00ULL, 0xffffffffffffffffULL } do
        for _, ino in ipairs { 1ULL, 2ULL ^ 53, 2ULL ^ 53 + 1ULL, 0xfffffffffffffffeULL,
          0xffffffffffffffffULL } do
          local stat = made_of { mode = octal "100644", _dev = dev, _ino = ino }
          ids[stat.id], count = true, count + 1
          assert.equal(tonumber(ino), stat.ino)
          assert.equal(tonumber(dev), stat.dev)
        end
      end
      for _ in pairs(ids) do count = count - 1 end
      assert.equal(0, count)
    end)
  end)
end)

describe("several fields of a stat", function()
  local dir = temp.dir()

  it("come in their order, from each call", function()
    local path = dir:file("file", "content")
    local file, at, stat = assert(fs.open(path)), assert(fs.at(dir.root)), fs.stat(path)
    local expected = { 7, "file", stat.mtime, true, stat.id, stat.ino, stat.mode }
    local calls = {
      function(...) return fs.stat(path, ...) end, function(...) return fs.lstat(path, ...) end,
      function(...) return file:stat(...) end, function(...) return fs.fstat(file, ...) end,
      function(...) return at:stat("file", ...) end, function(...) return at:lstat("file", ...) end,
    }
    for _ = 1, 100 do
      for _, call in ipairs(calls) do
        assert.same(expected, { call("size", "type", "mtime", "is_file", "id", "ino", "mode") })
        assert.same({ 7, "file" }, { call("size", "type") })
        assert.same({ false, 7, stat.ctime }, { call("is_dir", "size", "ctime") })
      end
    end
    local names, values = {}, {}
    for name, value in pairs(stat) do
      names[#names + 1], values[#values + 1] = name, value
    end
    assert.same(values, { fs.stat(path, unpack(names)) })
    file:close()
    at:close()
  end)

  it("are nil, message, code where the call is refused", function()
    assert.refused("ENOENT: no such file or directory: /nope", fs.stat("/nope", "size", "mtime"))
  end)

  it("raise at the caller's line for what is none", function()
    local path = dir:file("misused", "x")
    local file, at = assert(fs.open(path)), assert(fs.at(dir.root))
    local calls = {
      { "stat", fs.stat, path }, { "stat", fs.stat, "/nope" }, { "stat", file.stat, file },
      { "stat", at.stat, at, "misused" }, { "lstat", fs.lstat, path },
      { "lstat", at.lstat, at, "none" }, { "fstat", fs.fstat, file },
    }
    for _ = 1, 20 do
      for _, call in ipairs(calls) do
        local name, target, subject, below = unpack(call)
        local function fails(position, word, ...)
          local fields, count = { ... }, select("#", ...)
          local text = ("bad argument #%d to '%s' (no field '%s'"):format(position, name, word)
          if below then
            assert_no_field(text, function() target(subject, below, unpack(fields, 1, count)) end)
          else
            assert_no_field(text, function() target(subject, unpack(fields, 1, count)) end)
          end
        end
        fails(3, "sise", "size", "sise")
        fails(2, "sise", "sise", "size")
        fails(4, "table", "size", "mode", "table")
        fails(2, "_ino", "_ino")
        fails(3, "nil", "size", nil)
        fails(2, "nil", nil, "size")
        fails(6, "1", "size", "mode", "uid", "gid", 1)
      end
    end
    file:close()
    at:close()
  end)
end)

describe("a stat in a compiled loop", function()
  local dir = temp.dir()

  it("is its own file's, whatever a finalizer asks in between", function()
    local root, wrong, calls = dir.root, 0, 0
    local expected = {}
    for i = 1, 8 do
      local stat = fs.stat(dir:file("f" .. i, ("x"):rep(1000 * i)))
      expected[i] = { size = stat.size, ino = stat.ino, id = stat.id }
    end
    local function ask_another()
      local stat = fs.stat(root .. "/f1")
      calls = calls + (stat.size == 1000 and fs.stat(root .. "/f2", "size") == 2000 and 1 or 0)
    end
    local kept = {}
    for i = 1, 30000 do
      local k = i % 8 + 1
      getmetatable(newproxy(true)).__gc = ask_another
      local stat = fs.stat(root .. "/f" .. k)
      kept[i % 100 + 1] = stat -- so that it is made
      local size, ino = fs.stat(root .. "/f" .. k, "size", "ino")
      local is = expected[k]
      if stat.size ~= is.size or stat.ino ~= is.ino or size ~= is.size or ino ~= is.ino
        or i % 10 == 0 and stat.id ~= is.id then
        wrong = wrong + 1
      end
    end
    collectgarbage()
    assert.equal(0, wrong)
    assert.equal(100, #kept)
    assert.equal(30000, calls)
  end)

  it("keeps its fields after others were asked", function()
    local path, kept = dir:file("grows", ""), {}
    local file = assert(fs.open(path, "a"))
    for i = 1, 500 do
      file:write "x"
      kept[i] = fs.stat(path)
    end
    file:close()
    for i = 1, 500 do
      assert.equal(i, kept[i].size)
    end
  end)
end)

describe("a stat without the FFI", function()
  it("is a table of the same fields", function()
    local program = [[
      package.preload.ffi, package.loaded.ffi = nil, nil
      local halo = require "halo"
      halo.run(function()
        local fs, show = halo.fs, require "halo.terminal.show"
        local file, at = assert(fs.open "/etc/passwd"), assert(fs.at "/etc")
        local of_walk
        for path, entry in fs.walk("/etc", { stat = true, depth = 1 }) do
          if path == "/etc/passwd" then of_walk = entry.stat end
        end
        local all = { fs.stat "/etc/passwd", fs.lstat "/etc/passwd", file:stat(), at:stat "passwd",
          of_walk }
        assert(#all == 5)
        for _, stat in ipairs(all) do
          local names = {}
          for name, value in pairs(stat) do
            names[#names + 1] = name
            assert(stat:table()[name] == value and fs.stat("/etc/passwd", name) == value, name)
          end
          assert(#names >= 22 and stat == all[1] and stat ~= fs.stat "/" and stat ~= nil)
          assert(getmetatable(stat:table()) == nil and tostring(stat):find "^stat { type = .file.")
          assert(show(stat):find "^stat {\n" and not pcall(function() return stat.nothing end))
        end
        local size, kind, id = fs.stat("/etc/passwd", "size", "type", "id")
        assert(size == all[1].size and kind == "file" and id == all[1].id)
        for path, entry in fs.walk("/etc", { stat = "is_dir", depth = 1 }) do
          assert(path == "/etc/" .. entry.name and entry.nothing == nil)
          assert(entry.is_dir == (entry.type == "dir"))
        end
        print(pcall(require, "ffi"), id)
      end)
    ]]
    local stdout, stderr = command.run(command.luajit .. " -e " .. command.quote(program))
    assert.equal("", stderr)
    assert.matches("^false.*" .. fs.stat("/etc/passwd", "id") .. "\n$", stdout)
  end)
end)

describe("The core's stat", function()
  local core = require "halo.core"

  it("fills a stat, and no other value of the FFI", function()
    local file = assert(fs.open("/etc/passwd"))
    local small = ffi.new("char[1]")
    for name, subject in pairs { stat = "/etc/passwd", lstat = "/etc/passwd", fstat = file } do
      for _, value in ipairs { small, 5LL, ffi.typeof(small) } do
        assert.misuse(("bad argument #2 to '%s' (stat expected)"):format(name),
          function() core[name](subject, value) end)
      end
      local new = require("halo.fs.stat").new()
      assert.equal(fs.stat("/etc/passwd", "ino"), core[name](subject, new).ino)
    end
    file:close()
  end)

  it("makes a table of those alone that are in a row", function()
    for _, stats in ipairs { false, {}, core.mark, "stat", 1 } do
      assert.is_false(pcall(core.stat_table, stats, 0))
    end
    assert.is_false(pcall(core.stat_table, halo.buffer(1), -1))
    assert.is_false(pcall(core.stat_table, halo.buffer(1), 1e6))
  end)
end)
