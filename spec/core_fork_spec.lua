-- A child of fork() has a copy of the loop that is of no use: the ring's memory is not there, no
-- worker runs, the descriptors are the parent's. It is told so.

local command = require "spec.support.command"
local core = require "spec.support.core"
local temp = require "spec.support.temp"

local run = command.run

local asked_for = os.getenv "HALO_ENGINE" or ""
local engines = asked_for ~= "" and { asked_for } or { "ring", "pool", "auto" }

-- Runs a function in a child; returns how that ended, as a shell says it: 128 + n for a signal.
local in_child = [[
  local ffi = require "ffi"
  ffi.cdef "int fork(void); int waitpid(int, int *, int); void _exit(int);"
  ffi.cdef "unsigned alarm(unsigned); void exit(int);"
  local finish = os.getenv "COUNTING" and ffi.C.exit or ffi.C._exit -- spec/support/coverage.sh
  local function in_child(fn)
    io.stdout:flush()
    local pid = ffi.C.fork()
    if pid == 0 then
      ffi.C.alarm(10) -- a child that hangs is a fault as well
      local ok, problem = pcall(fn)
      if not ok then print(problem) end
      io.stdout:flush()
      finish(ok and 0 or 1)
    end
    local status = ffi.new "int[1]"
    ffi.C.waitpid(pid, status, 0)
    local signal = status[0] % 128
    return signal > 0 and 128 + signal or math.floor(status[0] / 256)
  end
]]

for _, engine in ipairs(engines) do
  if core.available(engine) then
    describe("in a child of fork(), engine " .. engine, function()
      local dir = temp.dir()

      ---Runs a script in halo. Under a sanitizer its children look for no leaks.
      local function run_script(script)
        local path = dir:file("script.lua", in_child .. script)
        return run("env HALO_ENGINE= " .. command.halo("--engine=" .. engine, path, dir.root,
          engine))
      end

      it("the core refuses every operation", function()
        local stdout, stderr, status = run_script [[
          local core = require "spec.support.core"
          local lib, root = core.lib, arg[1]
          local loop = assert(core.create(arg[2]))
          local file = core.open(loop, root)
          local op = core.op(loop, lib.HALO_OP_STAT, root)
          assert(core.result(loop, op) == 0)
          assert(not lib.halo_loop_is_forked(loop))
          print(in_child(function()
            assert(lib.halo_loop_is_forked(loop))
            for code = 0, tonumber(lib.HALO_OP_COUNT) - 1 do
              local op = core.op(loop, code, root, root)
              op.file = file
              for _, flags in ipairs { 0, core.HALO_ALONE } do
                local name = require("ffi").string(lib.halo_op_name(op))
                if code ~= tonumber(lib.HALO_OP_CLOSE) then
                  local under_way = lib.halo_op_submit(loop, op, flags)
                  assert(not under_way and op.result == -130, name .. ": " .. tonumber(op.result))
                  lib.halo_op_release(loop, op)
                  op = core.op(loop, code, root, root)
                  op.file = file
                end
              end
              lib.halo_op_release(loop, op)
            end
            assert(not lib.halo_loop_busy(loop))
            assert(lib.halo_loop_close(loop, 1000) == 0)
          end))
          -- The parent's goes on.
          op = core.op(loop, lib.HALO_OP_STAT, root)
          assert(core.result(loop, op) == 0)
          assert(core.result(loop, core.file_op(loop, lib.HALO_OP_CLOSE, file)) == 0)
          print(lib.halo_loop_close(loop, 1000))
        ]]
        assert.same({ "0\n0\n", "", 0 }, { stdout, stderr, status })
      end)

      it("the core leaves alone what is under way, and a host has nothing to wait for", function()
        local stdout, stderr, status = run_script [[
          local core = require "spec.support.core"
          local lib, root = core.lib, arg[1]
          require("halo").fs.mkfifo(root .. "/pipe")
          local loop = assert(core.create(arg[2]))
          local file = core.open(loop, root .. "/pipe", 2)
          local op = core.file_op(loop, lib.HALO_OP_READ, file)
          op.length = 10
          assert(lib.halo_op_submit(loop, op, 0))
          lib.halo_loop_turn(loop, 0)
          print(in_child(function()
            assert(lib.halo_loop_fd(loop) == -130)
            assert(tonumber(lib.halo_loop_timeout_ns(loop)) == -1)
            lib.halo_op_cancel(loop, op)
            lib.halo_op_abandon(loop, op)
            assert(not lib.halo_op_has_ended(op))
            assert(lib.halo_loop_close(loop, 1000) == 0)
          end))
          -- The parent's goes on: its descriptor, and its read.
          assert(lib.halo_loop_fd(loop) >= 0)
          local pipe = assert(io.open(root .. "/pipe", "w"))
          pipe:write "x"
          pipe:close()
          lib.halo_op_wait(loop, op)
          print(tonumber(op.result))
          lib.halo_op_release(loop, op)
          print(lib.halo_loop_close(loop, 1000))
        ]]
        assert.same({ "0\n1\n0\n", "", 0 }, { stdout, stderr, status })
      end)

      for _, state in ipairs {
        { "with nothing under way", "" },
        { "with a read under way", [[
          assert(fs.mkfifo(root .. "/fifo"))
          local fifo = assert(fs.open(root .. "/fifo", "r+"))
          reader = halo.spawn(fifo.read, fifo, 10)
          halo.yield()
          release = function() fifo:write "x" assert(reader:join() == "x") end
        ]] },
      } do
        it("calls fail, " .. state[1] .. ", and the parent goes on", function()
          local stdout, stderr, status = run_script(([[
            local halo = require "halo"
            local fs, root = halo.fs, arg[1]
            local reader, release
            assert(fs.writefile(root .. "/file", "content"))
            local file = assert(fs.open(root .. "/file", "r+"))
            local size = file:stat().size
            %s
            print("child", in_child(function()
              local calls = {
                stat = function() return fs.stat(root) end,
                stat_field = function() return fs.stat(root, "size") end,
                lstat = function() return fs.lstat(root) end,
                open = function() return fs.open(root) end,
                readfile = function() return fs.readfile(root .. "/file") end,
                writefile = function() return fs.writefile(root .. "/new", "x") end,
                readdir = function() return fs.readdir(root) end,
                read = function() return file:read(1) end,
                pread = function() return file:pread(1, 0) end,
                write = function() return file:write("x") end,
                fstat = function() return file:stat() end,
                fsync = function() return file:fsync() end,
                mkdir = function() return fs.mkdir(root .. "/dir") end,
                rename = function() return fs.rename(root .. "/file", root .. "/file2") end,
              }
              for name, call in pairs(calls) do
                local ok, problem, message = pcall(call)
                local said = tostring(ok and message or problem)
                if (ok and problem) or not said:find("fork", 1, true) then
                  print(name, ok, problem, message)
                end
              end
            end))
            if release then release() end
            assert(fs.readfile(root .. "/file") == "content" and not fs.stat(root .. "/new"))
            assert(file:read(100) == "content" and file:close())
            print(halo.stats().files_open, halo.stats().in_flight)
          ]]):format(state[2]))
          local open = state[2] == "" and 0 or 1
          assert.same({ ("child\t0\n%d\t0\n"):format(open), "", 0 }, { stdout, stderr, status })
        end)
      end

      it("the end of the script there ends it, without a word to the parent", function()
        local stdout, stderr, status = run_script [[
          local halo = require "halo"
          halo.fs.stat "/etc"
          local task = halo.spawn(halo.sleep, 0.3)
          halo.yield()
          print("child", in_child(function() collectgarbage() collectgarbage() end))
          print(task:join(), halo.fs.stat("/etc").type)
        ]]
        assert.same({ "child\t0\ntrue\tdir\n", "", 0 }, { stdout, stderr, status })
      end)
    end)
  end
end
