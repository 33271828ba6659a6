-- A ring that worked and is refused later: by a seccomp filter that a host installs, or since
-- somebody has closed its descriptor. What is under way goes on without it.

local core = require "spec.support.core"
local command = require "spec.support.command"
local posix = require "spec.support.posix"
local temp = require "spec.support.temp"

local lib = core.lib
local run = command.run

-- Takes the ring away while some operations are under way, and uses halo then.
local script = [[
  local ffi = require "ffi"
  ffi.cdef "struct filter { uint16_t code; uint8_t jt, jf; uint32_t k; };"
  ffi.cdef "struct program { uint16_t length; struct filter *filter; };"
  ffi.cdef "int prctl(int option, ...); int close(int fd);"
  local halo = require "halo"
  local fs = halo.fs
  local how, dir = ...

  local function ring()
    for _, entry in ipairs(fs.readdir "/proc/self/fd") do
      if (fs.readlink("/proc/self/fd/" .. entry.name) or ""):find "io_uring" then
        return tonumber(entry.name)
      end
    end
  end

  local function deny_enter()
    local ENTER, EPERM = 426, 1
    local filter = ffi.new("struct filter[4]", {
      { 0x20, 0, 0, 0 }, { 0x15, 0, 1, ENTER }, { 6, 0, 0, 0x50000 + EPERM },
      { 6, 0, 0, 0x7fff0000 },
    })
    local function long(value) return ffi.cast("long", value) end
    assert(ffi.C.prctl(38, long(1), long(0), long(0), long(0)) == 0)
    return ffi.C.prctl(22, long(2), ffi.new("struct program", 4, filter)) == 0
  end

  local cat = assert(halo.process.spawn { "cat" })
  local reader = halo.spawn(function() return cat.stdout:read(100) end)
  local cancelled = halo.spawn(function() return cat.stdout:read(100) end)
  local sleeper = halo.spawn(function() return halo.sleep(0.05) end)
  halo.yield()
  local works
  if how == "closed" then works = ffi.C.close(ring()) == 0 else works = deny_enter() end
  if not works then
    print "no seccomp"
    os.exit(0)
  end
  cancelled:cancel()
  assert(cat.stdin:write "hello")
  print(reader:join(), sleeper:join(), (pcall(cancelled.join, cancelled)))
  print((select(3, halo.timeout(0.02, function() return cat.stdout:read(1) end))))
  cat.stdin:close()
  print(cat:wait())
  local names = {}
  for i = 1, 200 do names[i] = dir .. "/" .. i end
  halo.map(names, function(name)
    local file = assert(fs.create(name))
    assert(file:write(name) and file:fsync() and file:close())
    assert(fs.readfile(name) == name and fs.remove(name))
  end)
  local stats = halo.stats()
  print((select(2, halo.engine())), stats.in_flight, stats.unknown, stats.files_open)
]]

describe("a ring that is refused later", function()
  local dir = temp.dir()
  local _, _, ring_status = run("env -u HALO_ENGINE " .. command.halo("--engine=ring", "-e", ""))

  for how, code in pairs { denied = "EPERM", closed = "EBADF" } do
    it("is done without: " .. how, function()
      if ring_status ~= 0 then
        pending("this kernel refuses io_uring")
        return
      end
      local path = dir:file("script.lua", script)
      local stdout, stderr, status = run("env -u HALO_ENGINE "
        .. command.halo("--engine=ring", path, how, dir.root))
      if stdout == "no seccomp\n" then
        pending("seccomp does not work here")
        return
      end
      assert.same({ "hello\ttrue\tfalse\nETIMEDOUT\n0\n"
        .. "io_uring worked here, until it answered " .. code .. "\t0\t0\t1\n", "", 0 },
        { stdout, stderr, status })
    end)
  end
end)

core.describe("a loop whose ring was closed", function(_, new_loop, close_loop)
  ---The rings of this process, by their descriptors.
  local function rings()
    local found = {}
    for fd = 0, 1023 do
      local name = posix.is_open(fd) and posix.readlink("/proc/self/fd/" .. fd)
      found[fd] = name and name:find("io_uring", 1, true) and true or nil
    end
    return found
  end

  it("still tells a host that polls its descriptor", function()
    local before = rings()
    local loop, reading, writing = new_loop(), posix.pipe()
    local fd, file = lib.halo_loop_fd(loop), core.open(loop, "/")
    local op = core.poll(loop, reading, posix.POLLIN)
    lib.halo_loop_turn(loop, 0)
    local others = {}
    for ring in pairs(rings()) do
      if not before[ring] then
        posix.close(ring)
        others = { posix.pipe() } -- one of them has its number now
      end
    end
    local function await(expected)
      local ended
      repeat
        assert(lib.halo_loop_timeout_ns(loop) == 0 or posix.is_readable(fd, 5000), "not told of")
        lib.halo_loop_turn(loop, 0)
        ended = lib.halo_loop_next(loop)
      until ended ~= nil
      assert.equal(expected, ended)
      lib.halo_op_release(loop, ended)
    end
    local sync = core.file_op(loop, lib.HALO_OP_FSYNC, file)
    core.submit(loop, sync)
    await(sync)
    lib.halo_loop_wake(loop)
    assert.is_true(posix.is_readable(fd, 0))
    posix.write(writing, "x")
    await(op)
    posix.close(reading)
    posix.close(writing)
    assert.equal(0, close_loop(loop))
    for _, other in ipairs(others) do
      assert.is_true(posix.is_open(other))
      posix.close(other)
    end
  end)
end)
