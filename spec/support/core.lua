-- The core, without Lua's bindings: build/libhalo-core.so through FFI, declared by core/halo.h
-- itself. Functions and enumerators are fields of core.lib, and each `#define NAME number` of the
-- header is core.NAME.

local busted = require "busted"
local ffi = require "ffi"
local slowness = require "spec.support.slowness"

local PATIENCE_NS = 20e9 * slowness -- far more than anything here takes, sanitizers included

local function read_header()
  local file = assert(io.open("core/halo.h"))
  local text = file:read("*a")
  file:close()
  return text
end

local header = read_header():gsub("/%*.-%*/", ""):gsub("#ifdef __cplusplus.-#endif", "")

-- What the header has from others: a struct of <time.h>, which something else may have declared
-- already, and the beginning of one of the kernel's.
pcall(ffi.cdef, "struct timespec { long tv_sec, tv_nsec; };")
ffi.cdef [[
struct statx {
  uint32_t stx_mask, stx_blksize;
  uint64_t stx_attributes;
  uint32_t stx_nlink, stx_uid, stx_gid;
  uint16_t stx_mode, stx_spare;
  uint64_t stx_ino, stx_size;
};
]]
ffi.cdef((header:gsub("#[^\n]*", ""):gsub("HALO_API", "")))

local build_dir = os.getenv("BUILD_DIR") or "./build"

-- Within build/faults/halo it is that program's own, whose calls can be made to fail.
local own = os.getenv "HALO_CORE" == "own"
local core = { lib = own and ffi.C or ffi.load(build_dir .. "/libhalo-core.so") }
local lib = core.lib

for name, value in header:gmatch("#define%s+(HALO_[%u_]+)%s+([^\n]+)") do
  local factor, power = value:match("^%((%d+)u?l*%s*<<%s*(%d+)%)")
  local number = value:match("^(%d+)u?")
  if factor then
    core[name] = factor * 2 ^ power
  elseif number then
    core[name] = tonumber(number)
  end
end
core.HALO_POSITION = ffi.cast("uint64_t", -1)

-- The engines to test: that of the run, or each.
local asked_for = os.getenv("HALO_ENGINE") or ""
local engines = asked_for ~= "" and { asked_for } or { "ring", "pool", "auto" }

local kinds = {
  auto = lib.HALO_ENGINE_AUTO,
  ring = lib.HALO_ENGINE_RING,
  pool = lib.HALO_ENGINE_POOL,
}

-- What has ended at once, for each loop, until drain() hands it on.
local ended_at_once = {}

---Creates a loop. Returns it, or nil and the error.
---@param engine "auto"|"ring"|"pool"
---@param limits table? fields of struct halo_config
function core.create(engine, limits)
  local config = ffi.new("struct halo_config", limits or {})
  config.engine = kinds[engine]
  local out = ffi.new("struct halo_loop *[1]")
  local result = lib.halo_loop_create(out, config)
  if result < 0 then
    return nil, result
  end
  return out[0]
end

---Whether a loop on that engine can be had here.
function core.available(engine)
  local loop = core.create(engine)
  if loop then
    lib.halo_loop_close(loop, 0)
  end
  return loop ~= nil
end

---A block of tests for each engine. define gets the engine's name, a function that creates a loop
---on it, and one that closes a loop and returns what halo_loop_close() does. Loops that a test
---leaves open are closed after it.
---@param define fun(engine: string, new_loop: fun(limits: table?), close_loop: fun(loop))
function core.describe(name, define)
  for _, engine in ipairs(engines) do
    local full_name = ("%s, engine %s,"):format(name, engine)
    if core.available(engine) then
      busted.describe(full_name, function()
        define(engine, core.loops(engine))
      end)
    else
      busted.pending(full_name .. " which the kernel refuses")
    end
  end
end

---The two functions of core.describe().
function core.loops(engine)
  local open = {}

  local function new_loop(limits)
    local loop = assert(core.create(engine, limits))
    table.insert(open, loop)
    return loop
  end

  local function close_loop(loop)
    ended_at_once[tostring(loop)] = nil
    for i, each in ipairs(open) do
      if each == loop then
        table.remove(open, i)
      end
    end
    return lib.halo_loop_close(loop, 10000)
  end

  busted.after_each(function()
    while open[1] do
      local left = close_loop(open[1])
      if left > 0 then
        error(("%d operations did not end"):format(left), 0)
      end
    end
  end)
  return new_loop, close_loop
end

---The counters, as Lua numbers.
function core.stats(loop)
  local counted = ffi.new("struct halo_stats")
  lib.halo_loop_stats(loop, counted)
  return setmetatable({}, {
    __index = function(_, name)
      return tonumber(counted[name])
    end,
  })
end

---A new operation with these paths.
function core.op(loop, code, path, path2)
  local op = lib.halo_op_new(loop, code)
  if path then
    assert(lib.halo_op_set_paths(op, path, #path, path2, path2 and #path2 or 0) == 0)
  end
  return op
end

---Submits an operation and returns it. On the engine auto, short ones end at once: drain() hands on
---those as well. Reads of pipes, polls and syncs always get under way.
function core.submit(loop, op)
  if not lib.halo_op_submit(loop, op, 0) then
    local key = tostring(loop)
    ended_at_once[key] = ended_at_once[key] or {}
    table.insert(ended_at_once[key], op)
  end
  return op
end

---Turns the loop until nothing is under way, calling visit, where given, after each turn. Returns
---what has ended, in order.
function core.drain(loop, visit)
  local ended = ended_at_once[tostring(loop)] or {}
  ended_at_once[tostring(loop)] = nil
  while true do
    local op = lib.halo_loop_next(loop)
    if op ~= nil then
      table.insert(ended, op)
    elseif core.stats(loop).in_flight == 0 then
      return ended
    else
      local before = lib.halo_now_ns()
      lib.halo_loop_turn(loop, PATIENCE_NS)
      if lib.halo_now_ns() - before >= PATIENCE_NS then
        error("an operation does not come to its end", 2)
      end
      if visit then
        visit()
      end
    end
  end
end

---Submits one operation and waits for it. Returns its result and the record, still to be released.
function core.perform(loop, op)
  if lib.halo_op_submit(loop, op, 0) then
    local ended = core.drain(loop)
    assert(#ended == 1 and ended[1] == op, "another operation has ended")
  end
  return tonumber(op.result), op
end

---The same, and releases the record.
function core.result(loop, op)
  local result = core.perform(loop, op)
  lib.halo_op_release(loop, op)
  return result
end

---Releases the records of an array.
function core.release(loop, ops)
  for _, op in ipairs(ops) do
    lib.halo_op_release(loop, op)
  end
end

---Opens a file and returns its handle.
---@param flags integer? of open(2); to read by default
function core.open(loop, path, flags)
  local op = core.op(loop, lib.HALO_OP_OPEN, path)
  op.flags = flags or 0
  local result = core.perform(loop, op)
  local file = op.file
  lib.halo_op_release(loop, op)
  assert(result == 0, "open failed: " .. result)
  return file
end

---A new operation on a file.
function core.file_op(loop, code, file)
  local op = lib.halo_op_new(loop, code)
  op.file = file
  return op
end

---A poll of a descriptor, submitted.
function core.poll(loop, fd, events)
  local op = lib.halo_op_new(loop, lib.HALO_OP_POLL)
  op.fd, op.flags = fd, events
  return core.submit(loop, op)
end

return core
