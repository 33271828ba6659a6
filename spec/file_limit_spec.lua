-- Files that may grow no further (RLIMIT_FSIZE, which is `ulimit -f`): each call that writes tells
-- it as EFBIG, and no signal (SIGXFSZ) ends halo. What is told is what is there, what is replaced
-- as a whole keeps what it had, and nothing is left behind. Programs that halo starts have that
-- signal as they would from a shell.

local command = require "spec.support.command"
local ffi = require "ffi"
local halo = require "halo"
local survived = require "spec.support.survived"
local temp = require "spec.support.temp"
local tree = require "spec.support.tree"

require "spec.support.assertions"

local fs = halo.fs
local run, quote = command.run, command.quote

ffi.cdef [[
struct spec_limit { uint64_t soft, hard; };
int prlimit(int pid, int what, const struct spec_limit *new, struct spec_limit *old);
]]

local FSIZE = 1 -- RLIMIT_FSIZE
local LIMIT = 100 * 1024
local SIZE = 300000
local SIGXFSZ = 25

local old = "what there was"
local data = {}
for i = 1, SIZE / 10 do
  data[i] = ("%9d\n"):format(i)
end
data = table.concat(data)

---Calls a function while no file may grow beyond LIMIT. This process alone has that limit, and it
---is gone before anything else is started or said.
local function limited(fn, ...)
  local before = ffi.new "struct spec_limit"
  assert(ffi.C.prlimit(0, FSIZE, nil, before) == 0)
  local limit = ffi.new("struct spec_limit", { LIMIT, before.hard })
  assert(ffi.C.prlimit(0, FSIZE, limit, nil) == 0)

  local function lift(ok, ...)
    assert(ffi.C.prlimit(0, FSIZE, before, nil) == 0)
    if not ok then
      error((...), 0)
    end
    return ...
  end
  return lift(pcall(fn, ...))
end

describe("a file that may grow no further", function()
  local dir = temp.dir()
  local tried = 0
  local path, other -- the latter a directory on another file system, if there is one

  before_each(function()
    path = dir:path "file"
    other = temp.elsewhere()
  end)

  after_each(function()
    os.execute(quote("rm", "-rf", other))
  end)

  ---Asserts that results are the refusal, about this path or pair of them.
  local function assert_refused(about, ...)
    tried = tried + 1
    assert.refused("EFBIG: file too large: " .. about, ...)
  end

  ---Asserts that a file has what may be there, after what was there before.
  local function assert_cut(name, before)
    local content = dir:read(name)
    before = before or ""
    assert.equal(LIMIT, #content)
    assert.is_true(content == (before .. data):sub(1, LIMIT))
  end

  local function names()
    return table.concat(tree.list(dir.root), " ")
  end

  local values = {
    ["a string"] = function() return data end,
    ["an array"] = function()
      return { data:sub(1, 7777), data:sub(7778, 100000), data:sub(100001) }
    end,
    ["a buffer"] = function()
      local buffer = halo.buffer(#data)
      buffer:set(data)
      return buffer
    end,
  }
  for name, make in pairs(values) do
    it("has the beginning of " .. name .. ", and the position says so", function()
      local file = assert(fs.open(path, "w"))
      local results = { limited(file.write, file, make()) }
      assert_refused(path, unpack(results, 1, 3))
      assert.equal(LIMIT, file:tell())
      assert_cut "file"
      assert_refused(path, limited(file.write, file, "more"))
      assert.equal(LIMIT, file:tell())
      assert.equal(#data - LIMIT, file:write(data:sub(LIMIT + 1)))
      assert.is_true(file:close())
      assert.is_true(dir:read "file" == data)
    end)
  end

  it("tells it of a place, of which the position knows nothing", function()
    local file = assert(fs.open(path, "w"))
    assert_refused(path, limited(file.pwrite, file, data, 0))
    assert_cut "file"
    assert_refused(path, limited(file.pwrite, file, "x", LIMIT))
    assert_refused(path, limited(file.pwrite, file, "x", LIMIT * 5))
    assert.equal(0, file:tell())
    assert.is_true(file:close())
    assert_cut "file"
  end)

  it("tells it of what was gathered, by the close at the latest", function()
    for _, last in ipairs { "flush", "fsync", "fdatasync", "close" } do
      local file = assert(fs.open(path, "w", { buffer = SIZE * 2 }))
      assert.equal(SIZE, file:write(data))
      if last ~= "close" then
        assert_refused(path, limited(file[last], file))
      end
      assert_refused(path, limited(file.close, file))
      assert_cut "file"
    end
  end)

  it("is told to each of many tasks", function()
    limited(function()
      halo.map({ 1, 2, 3, 4, 5, 6, 7, 8 }, function(i)
        local file = assert(fs.open(path .. i, "w"))
        assert_refused(path .. i, file:write(data))
        assert.equal(LIMIT, file:tell())
        assert.is_true(file:close())
        local at = assert(fs.open(path .. i, "r+"))
        assert_refused(path .. i, at:pwrite(data, 1000))
        assert.is_true(at:close())
        assert_refused(path .. i, fs.writefile(path .. i, data))
        assert_refused(path .. i, fs.writefile(path .. i, data, { atomic = true, sync = false }))
      end)
    end)
    for i = 1, 8 do
      assert_cut("file" .. i)
    end
    assert.equal("file1 file2 file3 file4 file5 file6 file7 file8", names())
  end)

  it("has the beginning by fs.writefile", function()
    assert_refused(path, limited(fs.writefile, path, data))
    assert_cut "file"
  end)

  it("has the beginning of what is appended", function()
    dir:file("file", old)
    assert_refused(path, limited(fs.writefile, path, data, { append = true }))
    assert_cut("file", old)
    local file = assert(fs.open(path, "a"))
    assert_refused(path, limited(file.write, file, "x"))
    assert.is_true(file:close())
    assert_cut("file", old)
  end)

  for how, options in pairs { ["of a file"] = { atomic = true },
    ["without a sync"] = { atomic = true, sync = false },
    ["with attributes"] = { atomic = true, xattrs = true },
    ["of a new file"] = { atomic = true, exclusive = true } } do
    it("leaves all as it was in an atomic write " .. how, function()
      local before = options.exclusive and "" or "file"
      if not options.exclusive then
        dir:file("file", old)
      end
      assert_refused(path, limited(fs.writefile, path, data, options))
      assert.equal(before, names())
      assert.is_true(options.exclusive or dir:read "file" == old)
    end)
  end

  it("leaves all as it was in an atomic write through links", function()
    dir:file("file", old)
    local link, lost = dir:symlink("link", "file"), dir:symlink("lost", "nowhere")
    assert_refused(link, limited(fs.writefile, link, data, { atomic = true }))
    assert_refused(lost, limited(fs.writefile, lost, data, { atomic = true }))
    assert.equal("file link -> file lost -> nowhere", names())
    assert.equal(old, dir:read "file")
  end)

  for name, options in pairs { ["plainly"] = {}, ["by its bytes"] = { reflink = false },
    ["with all that is its"] = { mode = true, times = true, owner = true, xattrs = true } } do
    it("is not left by fs.copy, " .. name, function()
      local from = dir:file("from", data)
      assert_refused(from .. " -> " .. path, limited(fs.copy, from, path, options))
      assert.equal("from", names())
      from = other .. "/from"
      assert(fs.writefile(from, data))
      assert_refused(from .. " -> " .. path, limited(fs.copy, from, path, options))
      assert.equal("from", names())
    end)
  end

  it("is not left by fs.copytree, and the small ones are whole", function()
    tree.make(other .. "/tree", { "a/small=1", "b/", "small=2", "link -> a" })
    for _, name in ipairs { "a/big", "b/big" } do
      assert(fs.writefile(other .. "/tree/" .. name, data))
    end
    local results = { limited(fs.copytree, other .. "/tree", path) }
    local about = results[2] and results[2]:match "/(%a/big)$" or ""
    assert_refused(("%s/tree/%s -> %s/%s"):format(other, about, path, about), unpack(results, 1, 3))
    for _, name in ipairs(tree.list(path)) do
      assert.is_nil((name:match "big$"))
      assert.is_nil((name:match "%.halo"))
      assert.is_true(not name:find "small" or #dir:read("file/" .. name) == 1)
    end
  end)

  it("leaves all as it was in fs.move to another file system", function()
    if fs.stat(other, "dev") == fs.stat(dir.root, "dev") then
      pending "there is one file system only"
    end
    local from = other .. "/from"
    assert(fs.mkdir(from))
    assert(fs.writefile(from .. "/big", data))
    dir:file("file", old)
    assert_refused(from .. "/big -> " .. path, limited(fs.move, from .. "/big", path))
    assert.equal(old, dir:read "file")
    local new = dir:path "new"
    assert_refused(("%s/big -> %s/big"):format(from, new), limited(fs.move, from, new))
    assert.equal("file", names())
    assert.equal(SIZE, fs.stat(from .. "/big", "size"))
  end)

  it("is neither cut nor allocated beyond", function()
    local file = assert(fs.open(dir:file("file", old), "r+"))
    assert_refused(path, limited(file.truncate, file, LIMIT + 1))
    assert_refused(path, limited(fs.truncate, path, LIMIT + 1))
    local ok, _, code = limited(file.fallocate, file, 0, LIMIT + 1)
    assert.is_true(not ok and (code == "EFBIG" or code == "EOPNOTSUPP"), code)
    assert.is_true(file:close())
    assert.equal(old, dir:read "file")
  end)

  it("may be one that is new, or has no name", function()
    local file = assert(fs.tempfile(dir.root))
    local _, _, code = limited(file.write, file, data)
    assert.equal("EFBIG", code)
    assert.is_true(file:close())
    local named, name = assert(fs.mkstemp(dir:path "newXXXXXX"))
    assert_refused(name, limited(named.write, named, data))
    assert.is_true(named:close())
  end)

  it("is told by Lua's own io", function()
    local file = assert(io.open(path, "w"))
    local function write()
      local ok, message, code = file:write(data)
      if ok then
        ok, message, code = file:close()
      end
      return ok, message, code
    end
    tried = tried + 1
    assert.same({ nil, "File too large", 27 }, { limited(write) })
    pcall(file.close, file)
    assert_cut "file"
  end)

  it("is told by halo.copy to it", function()
    local from, to = assert(fs.open(dir:file("from", data))), assert(fs.open(path, "w"))
    local ok, message, code = limited(halo.copy, from, to)
    assert.same({ nil, "EFBIG" }, { ok, code }, message)
    assert.is_true(from:close())
    assert.is_true(to:close())
    assert_cut "file"
  end)

  ---Runs a script under the limit, its output going to the file.
  local function run_to_file(code)
    tried = tried + 1
    return run(("ulimit -c 0; ulimit -f %d; %s >%s"):format(LIMIT / 512,
      command.halo("-e", code), quote(path)))
  end

  for what, code in pairs {
    ["print"] = "for i = 1, 30000 do print(('%9d'):format(i)) end",
    ["io.write"] = "for i = 1, 30000 do io.write(('%9d\\n'):format(i)) end",
    ["halo.stdout"] = "for i = 1, 30000 do assert(halo.stdout:write(('%9d\\n'):format(i))) end",
    ["a task"] = [[
      halo.spawn(function()
        for i = 1, 30000 do assert(halo.stdout:write(('%9d\n'):format(i))) end
      end):join()]],
  } do
    it("ends a script that prints into it with status 1: " .. what, function()
      local _, stderr, status = run_to_file(code)
      assert.matches("[Ff]ile too large", stderr)
      assert.equal(1, status)
      assert_cut "file"
    end)
  end

  it("ends a program that writes into it as a shell's would, and halo lives", function()
    local script = [[
      local to, many = halo.fs.open(arg[1], "w"), { "sh", "-c", "exec seq -f %9.0f 30000" }
      many.stdout = to
      io.stderr:write(tostring(select(2, halo.process.run(many))), "\n")
      io.stderr:write(tostring(select(2, halo.process.pipeline { { "seq", "30000" },
        { "cat", stdout = to } })), "\n")
      local _, status, name = halo.process.spawn(many):wait()
      io.stderr:write(tostring(halo.process.spawn(many):wait()), "\n")
      io.stderr:write(tostring(to:write "x"), "\n")]]
    local _, stderr, status = run(("ulimit -c 0; ulimit -f %d; %s"):format(LIMIT / 512,
      command.halo("-e", script, "-", path)))
    tried = tried + 4
    assert.same({ ("%d\n"):format(128 + SIGXFSZ):rep(3) .. "nil\n", 0 }, { stderr, status })
    assert.equal(LIMIT, #dir:read "file")
  end)

  it("is an answer to a host that ignores the signal, as luajit may", function()
    local script = dir:file("script.lua", [[
      local halo = require "halo"
      local text = ("x"):rep(300000)
      halo.run(function()
        halo.map({ 1, 2, 3, 4 }, function(i)
          local _, _, code = halo.fs.writefile(arg[1] .. i, text)
          print(code)
        end)
      end)
      print(select(3, halo.fs.writefile(arg[1], text)))]])
    local stdout, stderr, status = run(("ulimit -f %d; trap '' XFSZ; %s %s %s"):format(LIMIT / 512,
      command.luajit, quote(script), quote(path)))
    tried = tried + 5
    assert.same({ ("EFBIG\n"):rep(5), "", 0 }, { stdout, stderr, status })
  end)

  teardown(function()
    survived.tell_of_file {
      name = "file_limit", kind = "a file that may grow no further (RLIMIT_FSIZE)", tried = tried,
      unit = "calls", command = "make test SPEC=spec/file_limit_spec.lua",
    }
  end)
end)
