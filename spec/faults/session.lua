-- A loop's life, from its creation to its close, with memory that is out at the Nth allocation, for
-- N = 1, 2 ... until none fails. spec/faults/allocations.lua does it within a loop that is there
-- already. Run in build/faults/halo, with HALO_CORE=own in the environment:
--
--     halo spec/faults/session.lua ring|pool|auto
--
-- Each call says ENOMEM or does its work, and nothing is left. Prints how many have failed.

local armed = require "spec.faults.armed"
local core = require "spec.support.core"
local ffi = require "ffi"
local posix = require "spec.support.posix"

local lib, engine = core.lib, arg[1]
local ENOMEM = 12
local FILES, TIMERS, RECORDS = 70, 70, 200 -- more than are had at first
local O_DIRECTORY, O_CREAT_RDWR = 65536, 64 + 2
local LEFT_NAME = "left"

local root = posix.mkdtemp()
local tried, where = 0, nil

local function expect(result)
  if result < 0 and result ~= -ENOMEM then
    error(("%s says %d at allocation %d"):format(where, result, tried), 0)
  end
  return result
end

---Carries an operation out. Returns its result and the handle of what it has opened.
local function go(loop, code, path, path2, fill)
  where = path or "an operation"
  local op = lib.halo_op_new(loop, code)
  if op == nil then
    return -ENOMEM
  end
  local error = path and lib.halo_op_set_paths(op, path, #path, path2, path2 and #path2 or 0) or 0
  if error < 0 then
    lib.halo_op_release(loop, op)
    return expect(error)
  end
  if fill then
    fill(op)
  end
  local result = core.perform(loop, op)
  local file = op.file
  lib.halo_op_release(loop, op)
  return expect(result), file
end

local function open(loop, path, flags)
  local result, file = go(loop, lib.HALO_OP_OPEN, path, nil, function(op)
    op.flags, op.mode = flags, 384
  end)
  return result == 0 and file or nil
end

local function adopt_many(loop, fd)
  local handle = ffi.new "uint64_t[1]"
  for _ = 1, FILES do
    where = "adopt"
    expect(lib.halo_file_adopt(loop, fd, true, handle))
  end
end

local function start_timers(loop, timers)
  for i = 0, TIMERS - 1 do
    where = "a timer"
    expect(lib.halo_timer_start(loop, timers[i], lib.halo_now_ns() + 1e12))
  end
  for i = 0, TIMERS - 1 do
    lib.halo_timer_stop(loop, timers[i])
  end
end

local function take_records(loop)
  local records = {}
  for _ = 1, RECORDS do
    local op = lib.halo_op_new(loop, lib.HALO_OP_FSYNC)
    if op ~= nil then
      records[#records + 1] = op
    end
  end
  core.release(loop, records)
end

---Several polls at once: more than the ring takes.
local function poll_many(loop, reader, writer)
  local ops = {}
  for _ = 1, 10 do
    local op = lib.halo_op_new(loop, lib.HALO_OP_POLL)
    if op ~= nil then
      op.fd, op.flags = reader, posix.POLLIN
      ops[#ops + 1] = core.submit(loop, op)
    end
  end
  posix.write(writer, "x")
  core.drain(loop)
  for _, op in ipairs(ops) do
    where = "a poll"
    expect(tonumber(op.result))
  end
  core.release(loop, ops)
end

local function leave_names(loop)
  local directory = open(loop, root, O_DIRECTORY)
  if not directory then
    return
  end
  lib.halo_leftover_hold(loop, directory, LEFT_NAME)
  local released = lib.halo_leftover_hold(loop, directory, "none")
  if released ~= nil then
    lib.halo_leftover_release(loop, released)
  end
  go(loop, lib.HALO_OP_MKDIR, root .. "/" .. LEFT_NAME, nil, function(op) op.mode = 448 end)
  open(loop, root .. "/" .. LEFT_NAME .. "/file", O_CREAT_RDWR)
end

local function work(loop, timers, reader, writer)
  adopt_many(loop, reader)
  start_timers(loop, timers)
  take_records(loop)
  poll_many(loop, reader, writer)
  local file = open(loop, root .. "/file", O_CREAT_RDWR)
  local directory = open(loop, root, O_DIRECTORY)
  if directory then
    go(loop, lib.HALO_OP_GETDENTS, nil, nil, function(op) op.file = directory end)
    lib.halo_file_drop(loop, directory)
  end
  go(loop, lib.HALO_OP_READDIR, root, nil, function(op) op.flags = core.HALO_READDIR_STAT end)
  go(loop, lib.HALO_OP_READFILE, "/proc/version")
  go(loop, lib.HALO_OP_COPYFILE, "/proc/version", root .. "/copy")
  go(loop, lib.HALO_OP_SYMLINK, "target", root .. "/link")
  go(loop, lib.HALO_OP_REMOVE, root .. "/link")
  if file then
    lib.halo_file_drop(loop, file)
  end
  leave_names(loop)
  lib.halo_loop_turn(loop, 0)
end

---Returns whether there is nothing left of it.
local function session(nth)
  local reader, writer = posix.pipe()
  local timers = ffi.new("struct halo_timer[?]", TIMERS)
  collectgarbage()
  local before = posix.count_descriptors()
  armed.arm(armed.ALLOCATION, nth, ENOMEM)
  local loop, result = core.create(engine, { max_in_flight = 8, pool_threads = 2 })
  if loop then
    local ok, message = pcall(work, loop, timers, reader, writer)
    lib.halo_loop_close(loop, 10000)
    armed.disarm()
    assert(ok, message)
  else
    armed.disarm()
    assert(result == -ENOMEM, result)
  end
  local hits = tonumber(ffi.C.faults_hits())
  local after = posix.count_descriptors()
  assert(after == before, ("allocation %d: %d descriptors are left"):format(nth, after - before))
  posix.close(reader)
  posix.close(writer)
  return hits
end

local hits
repeat
  tried = tried + 1
  hits = session(tried)
  os.execute(("rm -rf '%s'/*"):format(root))
until hits == 0 or tried > 2000
os.remove(root)
print(("%d allocations failed"):format(tried - 1))
