-- How much memory the core takes for what it reads.

local command = require "spec.support.command"
local core = require "spec.support.core"
local temp = require "spec.support.temp"

local quote, run = command.quote, command.run

local MIB = 512
local SURPLUS = 1.4 -- of what is read, at the most; a thread may have its own arena besides

local asked_for = os.getenv "HALO_ENGINE" or ""
local engines = asked_for ~= "" and { asked_for } or { "ring", "pool", "auto" }

local script = [[
  local core = require "spec.support.core"
  local lib = core.lib
  local function peak()
    for line in io.lines "/proc/self/status" do
      local kib = line:match "^VmPeak:%s*(%d+)"
      if kib then return tonumber(kib) end
    end
  end
  local path, engine, flags, length = arg[1], arg[2], tonumber(arg[3]), tonumber(arg[4])
  local loop = assert(core.create(engine))
  -- Threads and rings are there before.
  core.result(loop, core.op(loop, lib.HALO_OP_READFILE, "/proc/self/stat"))
  core.result(loop, core.op(loop, lib.HALO_OP_REALPATH, "/"))
  local op = core.op(loop, lib.HALO_OP_READFILE, path)
  op.length = length
  local before = peak()
  if lib.halo_op_submit(loop, op, flags) then lib.halo_op_wait(loop, op) end
  print(tonumber(op.result), peak() - before)
  lib.halo_op_release(loop, op)
  lib.halo_loop_close(loop, 1000)
]]

for _, engine in ipairs(engines) do
  if core.available(engine) then
    describe("reading all of a file, engine " .. engine, function()
      local dir = temp.dir()

      for words, flags in pairs { alone = core.HALO_ALONE, ["beside others"] = 0 } do
        for _, limit in ipairs { 0, 2 ^ 40 } do
          it(("takes no more than that, %s, at most %d"):format(words, limit), function()
            if (os.getenv "SANITIZE" or "") ~= "" then
              pending "a sanitizer has an allocator of its own"
              return
            end
            local path = dir:file "sparse"
            run(("truncate -s %dM %s"):format(MIB, quote(path)))
            local stdout, stderr, status = run(command.halo(dir:file("script.lua", script), path,
              engine, tostring(flags), ("%d"):format(limit)))
            assert.same({ "", 0 }, { stderr, status })
            local result, kib = stdout:match "^(%d+)\t(%d+)\n$"
            assert.equal(MIB * 2 ^ 20, tonumber(result))
            assert(tonumber(kib) < SURPLUS * MIB * 1024,
              ("%d MiB for %d"):format(kib / 1024, MIB))
          end)
        end
      end
    end)
  end
end

core.describe("the memory of records", function(_, new_loop)
  local lib = core.lib

  -- Each thread of malloc's keeps a few pieces of every small size that it was ever handed.
  it("comes in few sizes", function()
    local loop = new_loop()
    local sizes, count, small = {}, 0, 0
    for wanted = 1, 16384, 7 do
      local op = lib.halo_op_new(loop, lib.HALO_OP_STAT)
      assert(lib.halo_op_storage(op, wanted) ~= nil)
      local size = tonumber(op.stored)
      assert(size >= wanted)
      if not sizes[size] then
        sizes[size] = true
        count = count + 1
        small = small + (size < 1032 and 1 or 0)
      end
      lib.halo_op_release(loop, op)
      if wanted % 3 == 0 then -- the record that comes next has had none
        local large = lib.halo_op_new(loop, lib.HALO_OP_STAT)
        assert(lib.halo_op_storage(large, 100000) ~= nil)
        lib.halo_op_release(loop, large)
      end
    end
    assert(count <= 5 and small <= 1, ("%d sizes, %d of them small"):format(count, small))
  end)

  it("is given back where many records were in use at once", function()
    local loop = new_loop()
    local ops = {}
    for i = 1, 1000 do
      ops[i] = lib.halo_op_new(loop, lib.HALO_OP_STAT)
      assert(lib.halo_op_storage(ops[i], 16000) ~= nil)
    end
    for _, op in ipairs(ops) do
      lib.halo_op_release(loop, op)
    end
    local kept = 0
    for i = 1, 1000 do
      ops[i] = lib.halo_op_new(loop, lib.HALO_OP_STAT)
      kept = kept + tonumber(ops[i].stored)
    end
    for _, op in ipairs(ops) do
      lib.halo_op_release(loop, op)
    end
    assert(kept > 0 and kept <= 2 ^ 20, ("%d bytes are kept"):format(kept))
  end)
end)
