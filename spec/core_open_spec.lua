-- Every operation that opens a file does it in one way: it waits for a lease to be broken, it does
-- not touch a device, and it reads what cannot be read without waiting.

local ffi = require "ffi"
local command = require "spec.support.command"
local core = require "spec.support.core"
local faults = require "spec.support.faults"
local temp = require "spec.support.temp"

local lib = core.lib
local run, quote = command.run, command.quote

local HOLD_S = 0.3 -- how long a lease is held on
local EAGAIN, EFAULT = -11, -14

-- Takes a lease on a file, says so, and gives it up a while after the kernel has asked for it.
local lease_holder = [[
  local ffi = require "ffi"
  ffi.cdef "int open(const char *, int, ...); int fcntl(int, int, ...); int usleep(unsigned);"
  ffi.cdef "void *signal(int, void *);"
  local C, F_SETLEASE, F_GETLEASE, WRLCK, UNLCK = ffi.C, 1024, 1025, ffi.cast("int", 1),
    ffi.cast("int", 2)
  C.signal(29, ffi.cast("void *", 1)) -- SIGIO, ignored
  local fd = C.open(arg[1], 2)
  if C.fcntl(fd, F_SETLEASE, WRLCK) ~= 0 then print "none" os.exit() end
  print "leased" io.stdout:flush()
  while C.fcntl(fd, F_GETLEASE) == 1 do C.usleep(1000) end
  C.usleep(tonumber(arg[2]) * 1e6)
  C.fcntl(fd, F_SETLEASE, UNLCK)
  io.read "*l"
]]

core.describe("an operation of the core", function(engine, new_loop)
  local dir = temp.dir()

  describe("on a file under a lease", function()
    local holder, path

    before_each(function()
      path = dir:file("leased", "content")
      local script = dir:file("holder.lua", lease_holder)
      holder = command.start(command.luajit .. " " .. quote(script, path, tostring(HOLD_S)))
    end)

    after_each(function()
      holder:finish()
    end)

    ---Runs it while the lease is held. Each of them has to wait, and to succeed.
    local function perform(op_of, flags)
      local ok = pcall(holder.await, holder, "leased\n")
      if not ok then
        pending "there are no leases here"
        return
      end
      local loop = new_loop()
      local op, start = op_of(loop), lib.halo_now_ns()
      if lib.halo_op_submit(loop, op, flags) then
        lib.halo_op_wait(loop, op)
      end
      local took, result = tonumber(lib.halo_now_ns() - start) / 1e9, tonumber(op.result)
      local code = ffi.string(lib.halo_error_name(result))
      lib.halo_op_release(loop, op)
      assert(result >= 0, "it failed with " .. code)
      assert(took < HOLD_S + 5, "it took too long")
    end

    local operations = {
      open = function(loop)
        local op = core.op(loop, lib.HALO_OP_OPEN, path)
        op.flags = 0
        return op
      end,
      open_to_write = function(loop)
        local op = core.op(loop, lib.HALO_OP_OPEN, path)
        op.flags = 2
        return op
      end,
      readfile = function(loop)
        return core.op(loop, lib.HALO_OP_READFILE, path)
      end,
      ["copyfile from it"] = function(loop)
        local op = core.op(loop, lib.HALO_OP_COPYFILE, path, dir:path "copy")
        op.mode = 0x1a4
        return op
      end,
      ["copyfile onto it"] = function(loop)
        return core.op(loop, lib.HALO_OP_COPYFILE, dir:file("other", "other"), path)
      end,
      truncate = function(loop)
        local op = core.op(loop, lib.HALO_OP_TRUNCATE, path)
        op.offset = 3
        return op
      end,
    }
    for name, op_of in pairs(operations) do
      for words, flags in pairs { ["beside others"] = 0, alone = core.HALO_ALONE } do
        it(("waits and succeeds: %s, %s"):format(name, words), function()
          perform(op_of, flags)
        end)
      end
    end
  end)

  describe("that reads the kernel's log, which has no end,", function()
    local readable = select(3, run("test $(id -u) = 0 && test -r /proc/kmsg"
      .. " && echo halo >/dev/kmsg")) == 0

    for words, flags in pairs { ["beside others"] = 0, alone = core.HALO_ALONE } do
      for _, length in ipairs { 0, 64, 2 ^ 20 } do
        it(("never fails for a bad address: %s, at most %d"):format(words, length), function()
          if not readable then
            pending "/proc/kmsg cannot be read"
            return
          end
          local loop = new_loop()
          local op = core.op(loop, lib.HALO_OP_READFILE, "/proc/kmsg")
          op.length = length
          -- It may wait for more, as the plain call does: then it is told to end.
          if lib.halo_op_submit(loop, op, flags) then
            local deadline = lib.halo_now_ns() + 3e8
            local ended = lib.halo_loop_next(loop)
            while ended == nil and lib.halo_now_ns() < deadline do
              lib.halo_loop_turn(loop, 1e7)
              ended = lib.halo_loop_next(loop)
            end
            if ended == nil then
              lib.halo_op_cancel(loop, op)
              run "echo halo >/dev/kmsg" -- which wakes up a worker that hangs in a read
              core.drain(loop)
            end
          end
          local result = tonumber(op.result)
          lib.halo_op_release(loop, op)
          assert(result ~= EFAULT, "EFAULT")
          assert(result >= 0 or result == -125 or result == -27 or result == EAGAIN,
            ffi.string(lib.halo_error_name(result)))
        end)
      end
    end
  end)

  it("of " .. engine .. " that reads a whole file of /proc gets all of it", function()
    local loop = new_loop()
    for _, path in ipairs { "/proc/self/status", "/proc/self/maps", "/proc/mounts" } do
      local op = core.op(loop, lib.HALO_OP_READFILE, path)
      local result = core.perform(loop, op)
      assert(result > 0)
      assert.equal("\n", ffi.string(op.data, result):sub(-1))
      lib.halo_op_release(loop, op)
    end
  end)
end)

describe("what reads whole files", function()
  local dir = temp.dir()
  local is_root = run "id -u" == "0\n"

  ---How often a script opens what is named "device", when it calls this three times, in each way
  ---that there is.
  local function count_opens(setup, call)
    local log = dir:path "log"
    local script = dir:file("script.lua", ([[
      local halo = require "halo"
      local fs = halo.fs
      print(select(3, %s))
      halo.map({ 1, 2 }, function() print(select(3, %s)) end)
    ]]):format(call, call))
    run(("cd %s && %s"):format(quote(dir.root), setup))
    local line = faults.line({ { "open", path = "device" } }, command.halo(script), log)
    local _, stderr, status = run(("cd %s && %s"):format(quote(dir.root), line))
    assert.same({ "", 0 }, { stderr, status })
    return select(2, (run("cat " .. quote(log))):gsub("open", ""))
  end

  local things = {
    fifo = "mkfifo device",
    socket = command.quote("luajit", "-e", [[
      local ffi = require "ffi"
      ffi.cdef "int mknod(const char *, unsigned, unsigned long);"
      ffi.C.mknod("device", 0xc180, 0)]]),
  }
  if is_root then
    things["character device"] = "mknod device c 5 0"
    things["block device"] = "mknod device b 7 200"
  end
  for name, setup in pairs(things) do
    it(("does not open a %s to copy it"):format(name), function()
      if faults.unavailable() then
        pending(faults.unavailable())
        return
      end
      assert.equal(0, count_opens(setup, "fs.copy('device', 'copy')"))
    end)

    if name:find "device" then -- a FIFO waits for its writer
      it(("does not open a %s to see that it is one"):format(name), function()
        if faults.unavailable() then
          pending(faults.unavailable())
          return
        end
        local opened = count_opens(setup, "fs.readfile('device', 100)")
        assert(opened <= 3, "three calls have opened it " .. opened .. " times")
      end)
    end
  end
end)
