-- An interrupt is heard of soon, also by what takes long and runs where nothing else could.

local ffi = require "ffi"
local command = require "spec.support.command"
local core = require "spec.support.core"
local halo = require "halo"
local temp = require "spec.support.temp"
require "spec.support.plain"

local lib = core.lib
local quote = command.quote

local EINTR, ECANCELED = -4, -125
local SPARSE_BYTES = 3 * 2 ^ 30 -- takes seconds to read, and no place on the disk
local AFTER_MS = 100
local SOON_S = (os.getenv "SANITIZE" or "") ~= "" and 2 or 0.3
local MEMORY_KIB = 8 * 2 ^ 20 -- to be free, so that nobody else suffers
local ATTEMPTS = 3 -- a machine that is busy with other things may need more than one

ffi.cdef [[
struct spec_sigevent {
  void *value;
  int signal, notify;
  void (*function)(struct halo_loop *);
  void *attributes;
  int rest[8];
};
struct spec_itimerspec { long every_s, every_ns, first_s, first_ns; };
int timer_create(int clock, struct spec_sigevent *event, void **timer);
int timer_settime(void *timer, int flags, const struct spec_itimerspec *time, void *before);
int timer_delete(void *timer);
]]

---Why it cannot be tried here; nil where it can.
local function lacks_memory()
  for line in io.lines "/proc/meminfo" do
    local kib = line:match "^MemAvailable:%s*(%d+)"
    if kib and tonumber(kib) < MEMORY_KIB then
      return "there is too little memory here"
    end
  end
end

---Has another thread interrupt the loop after a while. Returns a function to take that back.
local function interrupt_later(loop)
  local SIGEV_THREAD, CLOCK_MONOTONIC = 2, 1
  local event = ffi.new("struct spec_sigevent",
    { value = loop, notify = SIGEV_THREAD, ["function"] = lib.halo_loop_interrupt })
  local timer = ffi.new("void *[1]")
  assert(ffi.C.timer_create(CLOCK_MONOTONIC, event, timer) == 0)
  local time = ffi.new("struct spec_itimerspec", { first_ns = AFTER_MS * 1e6 })
  assert(ffi.C.timer_settime(timer[0], 0, time, nil) == 0)
  return function()
    ffi.C.timer_delete(timer[0])
  end
end

core.describe("an interrupt of the core #slow", function(_, new_loop)
  local dir = temp.dir()
  local path

  before_each(function()
    path = dir:file("sparse")
    assert(ffi.C.truncate(path, SPARSE_BYTES) == 0)
  end)

  ---@type table<string, fun(loop): ffi.cdata*>
  local long = {
    readfile = function(loop)
      return core.op(loop, lib.HALO_OP_READFILE, path)
    end,
    read = function(loop)
      local op = core.file_op(loop, lib.HALO_OP_READ, core.open(loop, path))
      op.length = SPARSE_BYTES
      return op
    end,
    ["read at a place"] = function(loop)
      local op = core.file_op(loop, lib.HALO_OP_READ, core.open(loop, path))
      op.length, op.offset = SPARSE_BYTES - 4096, 4096
      return op
    end,
  }

  for name, op_of in pairs(long) do
    for words, flags in pairs { alone = core.HALO_ALONE, ["beside others"] = 0 } do
      it(("ends a %s of gigabytes soon, %s"):format(name, words), function()
        if lacks_memory() then
          pending(lacks_memory())
          return
        end
        local best = math.huge
        for _ = 1, ATTEMPTS do
          local loop = new_loop()
          local op = op_of(loop)
          local take_back = interrupt_later(loop)
          local start = lib.halo_now_ns()
          local under_way = lib.halo_op_submit(loop, op, flags)
          if under_way then
            -- As a caller does that waits for it alone.
            lib.halo_op_wait(loop, op)
          end
          local took = tonumber(lib.halo_now_ns() - start) / 1e9
          local result = tonumber(op.result)
          take_back()
          lib.halo_op_release(loop, op)
          best = math.min(best, took)
          -- What it has read until then is as good an answer.
          assert(result == EINTR or result == ECANCELED or result >= 0, "it failed: " .. result)
          if best < SOON_S + AFTER_MS / 1e3 then
            return
          end
        end
        error(("it ended after %.1f s"):format(best), 0)
      end)
    end
  end
end)

describe("SIGINT #slow", function()
  local dir = temp.dir()

  for name, call in pairs {
    ["fs.readfile"] = "fs.readfile(path)",
    ["fs.readfile_into"] = "fs.readfile_into(path, buffer)",
      ["fs.hash"] = "fs.hash(path, 'sha256')",
      ["file:read"] = "file:pread(2 ^ 31 - 2 ^ 20, 0)",
    ["file:read at its position"] = "file:seek('set', 0) file:read(2 ^ 31 - 2 ^ 20)",
    ["file:read_into"] = "file:pread_into(buffer, 2 ^ 30, 0)",
    ["fs.lines"] = "for _ in fs.lines(path) do end",
  } do
    for words, others in pairs {
      alone = "",
      ["beside others"] = name == "fs.readfile"
        and "halo.spawn(function() while true do halo.sleep(0.01) end end)" or nil,
    } do
      it(("ends %s of gigabytes soon, %s"):format(name, words), function()
        if lacks_memory() then
          pending(lacks_memory())
          return
        end
        local into_buffer = name:find "_into"
        local size = into_buffer and 2 ^ 30 or SPARSE_BYTES
        assert(ffi.C.truncate(dir:file("sparse"), size) == 0)
        local script = dir:file("script.lua", ([[
          local halo = require "halo"
          local fs, path = halo.fs, arg[1]
          local file = assert(fs.open(path))
          local buffer = %s and halo.buffer(2 ^ 30)
          if buffer then file:pread_into(buffer, 2 ^ 30, 0) end -- its pages are there then
          io.write "ready\n" io.stdout:flush()
          %s
          print(pcall(function() while true do %s end end))
        ]]):format(tostring(into_buffer ~= nil), others, call))
        local best = math.huge
        for _ = 1, ATTEMPTS do
          local process = command.start(command.halo(script) .. " " .. quote(dir:path "sparse"))
          process:await "ready\n"
          halo.sleep(AFTER_MS / 1e3)
          local start = halo.now()
          process:signal "INT"
          process:await "interrupted\n"
          best = math.min(best, halo.now() - start)
          local _, stderr, status = process:finish()
          assert.same({ "", 130 }, { stderr, status })
          if best < SOON_S then
            return
          end
        end
        error(("it was heard of after %.1f s"):format(best), 0)
      end)
    end
  end

  -- It comes while the call waits, and is heard of when the task goes on; before that all is
  -- collected.
  it("is no error of the collector's", function()
    assert(ffi.C.truncate(dir:file("sparse"), SPARSE_BYTES) == 0)
    local script = dir:file("script.lua", [[
      local fs = require "halo.fs"
      assert(fs.open(arg[1]))
      io.write "ready\n" io.stdout:flush()
      print(pcall(function() while true do fs.hash(arg[1], "sha256") end end))
    ]])
    local process = command.start("env HALO_GC=stress " .. command.halo(script) .. " "
      .. quote(dir:path "sparse"))
    process:await "ready\n"
    halo.sleep(AFTER_MS / 1e3)
    process:signal "INT"
    local stdout, stderr, status = process:finish()
    assert.same({ "ready\nfalse\tinterrupted\n", "", 130 }, { stdout, stderr, status })
  end)
end)
