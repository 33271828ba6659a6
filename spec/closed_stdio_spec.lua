-- Started with some of the descriptors 0, 1 and 2 closed, as by cron jobs, careless daemons and
-- `halo <&-`: nothing of halo's own may take their place.

local command = require "spec.support.command"
local core = require "spec.support.core"
local halo = require "halo"
local temp = require "spec.support.temp"

local run, quote = command.run, command.quote

local asked_for = os.getenv "HALO_ENGINE" or ""
local engines = asked_for ~= "" and { asked_for } or { "ring", "pool", "auto" }

local combinations = {}
for bits = 1, 7 do
  local closed, redirections = {}, {}
  for fd = 0, 2 do
    if math.floor(bits / 2 ^ fd) % 2 == 1 then
      closed[fd] = true
      table.insert(redirections, ("%d%s&-"):format(fd, fd == 0 and "<" or ">"))
    end
  end
  table.insert(combinations, { closed = closed, line = table.concat(redirections, " ") })
end

describe("the command halo", function()
  local dir = temp.dir()

  ---Runs a script with descriptors closed; it leaves its results in files.
  local function run_closed(combination, script)
    dir:file("script.lua", script)
    -- A shell of its own, so that nothing between takes the numbers.
    local line = ("cd %s && exec timeout -k 1 10 %s script.lua %s"):format(quote(dir.root),
      quote(command.halo_bin), combination.line)
    return run("sh -c " .. quote(line))
  end

  for _, combination in ipairs(combinations) do
    describe("started with " .. combination.line, function()
      it("works", function()
        local _, _, status = run_closed(combination, [[
          local halo = require "halo"
          local fs = halo.fs
          assert(fs.writefile("result", "ok"))
          local file = assert(fs.open("other", "w"))
          assert(file:write "abc" and file:close())
          halo.map({ 1, 2, 3 }, function(i) assert(fs.writefile("file" .. i, tostring(i))) end)
        ]])
        assert.equal(0, status)
        assert.equal("ok", dir:read "result")
        assert.equal("abc", dir:read "other")
        assert.equal("2", dir:read "file2")
      end)

      it("gives none of these numbers to anything that is opened", function()
        local _, _, status = run_closed(combination, [[
          local halo = require "halo"
          local fs = halo.fs
          local file = assert(fs.open("result", "w"))
          print "printed"
          io.write "written\n"
          io.stdout:flush()
          io.stderr:write "complaint\n"
          halo.sleep(0.01)
          assert(file:write "result")
          file:close()
          local lists = {}
          for fd = 0, 2 do
            lists[#lists + 1] = tostring(fs.readlink("/proc/self/fd/" .. fd))
          end
          assert(fs.writefile("links", table.concat(lists, "\n")))
        ]])
        assert.equal(0, status)
        assert.equal("result", dir:read "result")
        local links, fd = {}, 0
        for link in dir:read("links"):gmatch "[^\n]+" do
          if combination.closed[fd] then
            links[fd] = link
          end
          fd = fd + 1
        end
        for number in pairs(combination.closed) do
          assert.equal("/dev/null", links[number])
        end
      end)

      it("finds the end of its input at once, and prints into nothing", function()
        local start = halo.now()
        local stdout, stderr, status = run_closed(combination, [[
          local halo = require "halo"
          local input = halo.stdin:read(10)
          local line = io.read "*l"
          print "printed"
          assert(halo.stdout:write "halo\n")
          io.stderr:write "complaint\n"
          assert(halo.fs.writefile("result", tostring(input) .. "|" .. tostring(line)))
        ]])
        assert.equal(0, status)
        assert(halo.now() - start < 8, "it has waited for its input")
        -- Where it is open, the input of the specs is empty, too.
        assert.matches("^n?i?l?|nil$", dir:read "result")
        local closed = combination.closed
        assert.equal(closed[1] and "" or "halo\nprinted\n", (stdout:gsub("^printed\nhalo\n$",
          "halo\nprinted\n")))
        assert.equal(closed[2] and "" or "complaint\n", stderr)
      end)
    end)
  end

  it("gives a process that it starts the same", function()
    local _, _, status = run_closed(combinations[7], [[
      os.execute "ls -l /proc/self/fd >list; cat >content"
    ]])
    assert.equal(0, status)
    assert.equal("", dir:read "content")
  end)
end)

for _, engine in ipairs(engines) do
  if core.available(engine) then
    describe("a loop, engine " .. engine, function()
      local dir = temp.dir()

      for _, combination in ipairs(combinations) do
        it("keeps no descriptor below 3 with " .. combination.line, function()
          local numbers = {}
          for fd in pairs(combination.closed) do
            numbers[#numbers + 1] = tostring(fd)
          end
          -- In a command whose own descriptors are at their places; the script closes them.
          local path = dir:file("script.lua", [[
            local ffi, core = require "ffi", require "spec.support.core"
            local posix = require "spec.support.posix"
            local lib = core.lib
            local out = assert(io.open(arg[1] .. "/result", "w"))
            local function used()
              local list = {}
              for fd = 0, 2 do
                if posix.is_open(fd) then list[#list + 1] = fd end
              end
              return table.concat(list, " ")
            end
            for i = 3, #arg do posix.close(tonumber(arg[i])) end
            local before = used()
            local config = ffi.new("struct halo_config")
            local loop = assert(core.create(arg[2]))
            out:write(before == used() and "same" or "created: " .. used(), "\n")
            local files = {}
            for i = 1, 5 do files[i] = core.open(loop, arg[1] .. "/result") end
            files[6] = core.open(loop, arg[1] .. "/fifo", 2)
            -- A read and a poll, a directory, a copy: what needs workers and duplicates.
            local read = core.file_op(loop, lib.HALO_OP_READ, files[6])
            read.length = 1
            core.submit(loop, read)
            core.submit(loop, core.op(loop, lib.HALO_OP_READDIR, arg[1]))
            lib.halo_loop_fd(loop)
            lib.halo_loop_turn(loop, 1e7)
            out:write(before == used() and "same" or "at work: " .. used(), "\n")
            local fds = {}
            for i, file in ipairs(files) do
              if lib.halo_file_fd(loop, file) < 3 then out:write("file ", i, "\n") end
            end
            lib.halo_op_cancel(loop, read)
            core.release(loop, core.drain(loop))
            lib.halo_loop_close(loop, 1000)
            out:write(before == used() and "same" or "closed: " .. used(), "\n")
            out:close()
            os.exit(0)
          ]])
          dir:fifo "fifo"
          local _, stderr, status = run(command.halo(path, dir.root, engine, unpack(numbers)))
          assert.same({ "", 0 }, { combination.closed[2] and "" or stderr, status })
          assert.equal("same\nsame\nsame\n", dir:read "result")
        end)
      end
    end)
  end
end
