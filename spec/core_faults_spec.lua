-- System calls that fail where they hardly ever do (spec/support/faults.c): what is told, what
-- sticks, and that nothing spins, hangs or aborts.

local command = require "spec.support.command"
local faults = require "spec.support.faults"
local fuse = require "spec.support.fuse"
local halo = require "halo"
local temp = require "spec.support.temp"

local fs = halo.fs
local run, quote = command.run, command.quote

local EINTR, EIO, EAGAIN, ENOMEM, EBUSY = 4, 5, 11, 12, 16

local ENDED_S = 0.5 -- in which a call is given up that is interrupted for ever

local engine = os.getenv "HALO_ENGINE" or ""
engine = engine ~= "" and engine or "auto"

local dir

---A block of tests, which are pending where calls cannot be made to fail.
local function describe_faults(name, define)
  describe(name, function()
    dir = temp.dir()
    if faults.unavailable() then
      it("is told", function()
        pending(faults.unavailable())
      end)
    else
      define()
    end
  end)
end

local function script_line(script)
  return ("env HALO_ENGINE= %s %s %s"):format(quote(command.halo_bin, "--engine=" .. engine),
    quote(dir:file("script.lua", [[
      local halo = require "halo"
      local fs, path = halo.fs, arg[1]
      ]] .. script)), quote(dir:path "victim"))
end

---Runs a script with these calls failing; how often each of them was decided is the last result.
local function run_with(rules, script)
  local log = dir:file("log")
  local line = faults.line(rules, script_line(script), log)
  local stdout, stderr, status = run(line)
  local counts = setmetatable({}, { __index = function() return 0 end })
  for call in io.lines(log) do
    counts[call] = counts[call] + 1
  end
  return stdout, stderr, status, counts
end

describe_faults("a failure to write to the disk", function()
  -- The ring's own calls cannot be replaced: for that one there is a file system below.
  local function expect(rules, script, expected)
    if engine ~= "pool" then
      pending("engine " .. engine .. " makes other calls")
      return
    end
    local stdout, stderr, status, counts = run_with(rules, script)
    assert(next(counts), "no call has failed")
    assert.same({ expected, "", 0 }, { stdout, stderr, status })
  end

  it("is told to every sync that was under way, and ever after", function()
    expect({
      { "fsync", errno = EIO, delay_ms = 50, count = 1 },
      { "fsync", delay_ms = 150 },
    }, [[
      local file = assert(fs.open(path, "w"))
      local codes = {}
      local first = halo.spawn(function() codes[1] = select(3, file:fsync()) or "true" end)
      halo.sleep(0.01)
      local second = halo.spawn(function() codes[2] = select(3, file:fsync()) or "true" end)
      first:join() second:join()
      codes[3] = select(3, file:fsync()) or "true"
      codes[4] = select(3, file:fdatasync()) or "true"
      print(table.concat(codes, " "))
    ]], "EIO EIO EIO EIO\n")
  end)

  it("is told whichever sync comes first", function()
    expect({
      { "fdatasync", errno = EIO, delay_ms = 150, count = 1 },
      { "fsync", delay_ms = 20 },
    }, [[
      local file = assert(fs.open(path, "w"))
      local slow = halo.spawn(file.fdatasync, file)
      halo.sleep(0.01)
      print(select(3, file:fsync()) or "true")
      print(select(3, slow:join()))
      print(select(3, file:fsync()))
      print(select(3, file:fdatasync()))
    ]], "EIO\nEIO\nEIO\nEIO\n")
  end)

  it("sticks where a range was synced", function()
    expect({ { "sync_file_range", errno = EIO, count = 1 } }, [[
      local file = assert(fs.open(path, "w"))
      file:write "content"
      print(select(3, file:sync_file_range(0, 7)))
      print(select(3, file:fsync()), select(3, file:fdatasync()))
      print(select(3, file:sync_file_range(0, 7)))
    ]], "EIO\nEIO\tEIO\nEIO\n")
  end)

  for _, flag in ipairs { "SYNC", "DSYNC" } do
    for _, call in ipairs { "file:write 'x'", "file:pwrite('x', 0)" } do
      it(("sticks where %s failed with O_%s"):format(call, flag), function()
        local rules = {
          { "pwrite", errno = EIO, count = 1, path = "victim" },
          { "write", errno = EIO, count = 1, path = "victim" },
          { "pwritev2", errno = EIO, count = 1, path = "victim" },
        }
        expect(rules, ([[
          local flags = fs.flags
          local file = assert(fs.open(path, flags.WRONLY + flags.CREAT + flags.%s))
          print(select(3, %s))
          print(select(3, file:fsync()), select(3, file:fdatasync()))
        ]]):format(flag, call), "EIO\nEIO\tEIO\n")
      end)
    end
  end

  it("does not stick to another file, nor another opening of the same", function()
    expect({ { "fsync", errno = EIO, count = 1 } }, [[
      local file, again = assert(fs.open(path, "w")), assert(fs.open(path, "r+"))
      local other = assert(fs.open(path .. "2", "w"))
      print(select(3, file:fsync()), again:fsync(), other:fsync(), select(3, file:fsync()))
    ]], "EIO\ttrue\ttrue\tEIO\n")
  end)

  it("does not stick after an ordinary write that failed", function()
    expect({ { "pwrite", errno = EIO, count = 1, path = "victim" } }, [[
      local file = assert(fs.open(path, "w"))
      print(select(3, file:pwrite("x", 0)), file:pwrite("x", 0), file:fsync())
    ]], "EIO\t1\ttrue\n")
  end)
end)

describe("a failure to write to a disk that is slow #slow", function()
  local mount = fuse.mount(100)
  if not mount then
    it("sticks", function()
      pending(select(2, fuse.mount(100)))
    end)
    return
  end

  it("is told to every sync that was under way, and ever after", function()
    local file = assert(fs.open(mount.path .. "/file-eio", "r+"))
    local codes = halo.map({ 1, 2, 3 }, function()
      return select(3, file:fsync()) or "true"
    end)
    table.insert(codes, select(3, file:fsync()) or "true")
    table.insert(codes, select(3, file:fdatasync()) or "true")
    file:close()
    assert.same({ "EIO", "EIO", "EIO", "EIO", "EIO" }, codes)
  end)

  it("sticks where a write failed with O_DSYNC", function()
    local flags = fs.flags
    local file = assert(fs.open(mount.path .. "/file-eio2", flags.RDWR + flags.DSYNC))
    local codes = { (select(3, file:pwrite("x", 0))) }
    for _ = 1, 2 do
      table.insert(codes, select(3, file:fsync()) or "true")
    end
    file:close()
    assert.same({ "EIO", "EIO", "EIO" }, codes)
  end)
end)

describe_faults("a loop for which there is no memory", function()
  it("is told so, whichever allocation fails, and leaves nothing behind", function()
    if not faults.has_calloc() then
      pending "a sanitizer has an allocator of its own"
      return
    end
    local failed = 0
    for skip = 0, 12 do
      local script = dir:file("create.lua", [[
        local ffi = require "ffi"
        local core = require "spec.support.core"
        local posix = require "spec.support.posix"
        local lib, C = core.lib, ffi.C
        ffi.cdef "void *calloc(size_t, size_t); void free(void *);"
        local config = ffi.new("struct halo_config")
        config.engine = tonumber(arg[1])
        local out, text = ffi.new("struct halo_loop *[1]"), ffi.new("char[256]")
        local before = posix.count_descriptors()
        C.free(C.calloc(7777, 1)) -- from here on they count, see faults.c
        local result = lib.halo_loop_create(out, config)
        C.free(C.calloc(7777, 1))
        if result == 0 then
          print "created"
          lib.halo_loop_close(out[0], 1000)
        else
          lib.halo_loop_explain(result, config, text, 256)
          print(result, ffi.string(text))
        end
        print(posix.count_descriptors() - before)
      ]])
      local kinds = { auto = 0, ring = 1, pool = 2 }
      local line = faults.line({ { "calloc", errno = ENOMEM, skip = skip, count = 1 } },
        command.halo(script, tostring(kinds[engine])))
      local stdout, stderr, status = run(line)
      assert.same({ "", 0 }, { stderr, status })
      if not stdout:find "^created" then
        failed = failed + 1
        assert.matches("^-12\t", stdout)
        assert.matches("ENOMEM", stdout, 1, true)
        assert.not_matches("EPERM", stdout, 1, true)
      end
      assert.matches("\n0\n$", stdout)
    end
    assert(failed > 0, "no allocation has failed")
  end)
end)

-- A call that is interrupted again and again, or makes no progress, must neither spin nor keep an
-- interrupt from ending the command.
describe_faults("calls that are interrupted #slow", function()
  local scripts = {
    { "open", "open", "assert(fs.open(path, 'w')):close()" },
    { "open", "readfile, copy, readdir", "assert(fs.readfile(path .. '2')) "
      .. "assert(fs.copy(path .. '2', path)) assert(fs.readdir(path .. 's'))" },
    { "pread", "readfile, pread", "assert(assert(fs.open(path .. '2')):pread(10, 0))" },
    { "read", "readfile", "assert(fs.readfile(path .. '2'))" },
    { "pread", "copy", "assert(fs.copy(path .. '2', path))" },
    { "pwrite", "copy", "assert(fs.copy(path .. '2', path))" },
    { "pwrite", "write", "assert(assert(fs.open(path, 'w')):pwrite('x', 0))" },
    { "copy_file_range", "copy of much", "assert(fs.copy(path .. '3', path))" },
    { "getdents64", "readdir", "assert(fs.readdir(path .. 's'))" },
    { "fsync", "fsync", "assert(assert(fs.open(path, 'w')):fsync())" },
  }

  before_each(function()
    dir:file("victim2", "content")
    dir:file("victim3", ("content"):rep(100000))
    assert(fs.mkdir(dir:path "victims"))
  end)

  for i, case in ipairs(scripts) do
    local call, name, script = unpack(case)

    it(("a few times are made again: %s in %s"):format(call, name), function()
      local rules = { { call, errno = EINTR, count = 5, path = "victim" } }
      local stdout, stderr, status = run_with(rules, script .. " print 'done'")
      assert.same({ "done\n", "", 0 }, { stdout, stderr, status })
    end)

    it(("for ever end by themselves, or pause, and SIGINT ends them: %s in %s"):format(call, name),
      function()
        local rules = { { call, errno = EINTR, path = "victim" } }
        local ways = { "%s", "halo.spawn(function() halo.sleep(20) end) %s" }
        local other = call == "pread" and ways[(i + 1) % 2 + 1] or nil
        for _, wrapped in ipairs { ways[i % 2 + 1], other } do
          local log = dir:file("log")
          local body = "io.write 'ready\\n' io.stdout:flush() " .. wrapped:format(script)
          local process = command.start(faults.line(rules, script_line(body), log))
          process:await "ready\n"
          local start, by_itself = halo.now(), false
          while not by_itself and halo.now() - start < ENDED_S do
            halo.sleep(0.02)
            by_itself = not process:signal "CONT"
          end
          local _, count = dir:read("log"):gsub("\n", "")
          if not by_itself then
            process:signal "INT"
          end
          start = halo.now()
          local _, stderr, status = process:finish()
          if by_itself then
            assert(status == 0 or stderr:find("EINTR", 1, true), stderr)
          else
            assert(status == 130, stderr)
            assert(halo.now() - start < 3, "SIGINT has not ended it")
            assert(count < 1000 * ENDED_S, ("it was called %d times, and went on"):format(count))
          end
        end
      end)
  end

  it("do not make an exclusive copy meet its own file", function()
    for _, call in ipairs { "pread", "pwrite", "copy_file_range", "read", "write" } do
      for _, source in ipairs { "'2'", "'3'" } do
        os.remove(dir:path "victim")
        local rules = { { call, errno = EINTR, count = 3, path = "victim" } }
        local stdout, stderr, status = run_with(rules, ([[
          print(fs.copy(path .. %s, path, { exclusive = true }))
          print(fs.readfile(path) == fs.readfile(path .. %s))
        ]]):format(source, source))
        assert.matches("^%w+\ntrue\n$", stdout)
        assert.same({ "", 0 }, { stderr, status })
      end
    end
    -- Files whose size is not known before.
    os.remove(dir:path "victim")
    local rules = { { "pwrite", errno = EINTR, count = 1 }, { "pread", errno = EINTR, count = 1 } }
    local stdout = run_with(rules, "print(fs.copy('/proc/version', path, { exclusive = true }))"
      .. " print(fs.readfile(path) == fs.readfile '/proc/version')")
    assert.matches("^%w+\ntrue\n$", stdout)
  end)
end)

describe_faults("a write that makes no progress", function()
  before_each(function()
    dir:file("victim2", "content")
    dir:file("victim3", ("content"):rep(100000))
  end)

  for name, case in pairs {
    ["a copy"] = { "pwrite", "fs.copy(path .. '2', path)" },
    ["a copy of much"] = { "copy_file_range", "fs.copy(path .. '3', path)", "pwrite" },
    ["a write"] = { "pwrite", "assert(fs.open(path, 'w')):pwrite('x', 0)" },
    ["a write at the position"] = { "pwrite", "assert(fs.open(path, 'w')):write('x')" },
  } do
    it("is an error and no loop: " .. name, function()
      local rules = { { case[1], errno = 0, path = "victim" } }
      if case[3] then
        table.insert(rules, { case[3], errno = 0, path = "victim" })
      end
      local stdout, stderr, status, counts = run_with(rules, ("print(select(3, %s))")
        :format(case[2]))
      if counts[case[1]] == 0 then
        pending("engine " .. engine .. " makes other calls")
        return
      end
      assert.same({ "", 0 }, { stderr, status })
      assert.equal("EIO\n", stdout)
      assert(counts[case[1]] < 5000, "it was tried " .. counts[case[1]] .. " times")
    end)
  end
end)

describe_faults("the ring, which the kernel cannot serve at the moment, #slow", function()
  local script = [[
    local names = {}
    for i = 1, 50 do names[i] = path .. i end
    halo.map(names, function(name)
      local file = assert(fs.open(name, "w+"))
      assert(file:write(name) == #name and file:fsync())
      assert(file:pread(100, 0) == name and file:close())
    end)
    assert(not halo.timeout(0.05, halo.stdin.read, halo.stdin, 10) or true)
    print(#fs.readdir(path:match "^(.*)/"), halo.stats().in_flight)
  ]]

  for _, fault in ipairs {
    { "EINTR", EINTR }, { "EAGAIN", EAGAIN }, { "EBUSY", EBUSY }, { "ENOMEM", ENOMEM },
  } do
    for _, count in ipairs { 1, 50 } do
      it(("is tried again: %s, %d times"):format(fault[1], count), function()
        local rules = { { "enter", errno = fault[2], skip = 2, count = count } }
        local stdout, stderr, status, counts = run_with(rules, script)
        if counts.enter == 0 then
          pending("engine " .. engine .. " makes other calls")
          return
        end
        -- The files, the script and the log.
        assert.same({ "52\t0\n", "", 0 }, { stdout, stderr, status })
      end)
    end

    it(("is not tried without a pause or an end: %s"):format(fault[1]), function()
      if (os.getenv "SANITIZE" or ""):find "address" then
        pending "what the kernel holds is given up at the end, which a leak checker reports"
        return
      end
      local log = dir:file("log")
      local rules = { { "enter", errno = fault[2], skip = 5 } }
      local process = command.start(faults.line(rules, script_line([[
        io.write 'ready\n' io.stdout:flush()
      ]] .. script), log))
      process:await "ready\n"
      halo.sleep(0.5)
      process:signal "INT"
      local start = halo.now()
      local _, stderr, status = process:finish()
      local _, count = dir:read("log"):gsub("\n", "")
      if count == 0 then
        pending("engine " .. engine .. " makes other calls")
        return
      end
      -- An interrupt ends it, or it has ended with an error that says what is the matter.
      assert(status == 130 or stderr:find(fault[1], 1, true), stderr .. status)
      assert(halo.now() - start < 10, "it was not ended")
      assert(count < 5000, ("it was tried %d times"):format(count))
    end)
  end
end)

-- The eventfd by which workers wake the loop.
describe_faults("a wake-up that fails", function()
  local script = [[
    local names = {}
    for i = 1, 200 do names[i] = path .. i end
    halo.map(names, function(name)
      assert(fs.symlink("target", name))
      assert(fs.readlink(name) == "target")
    end)
    for i = 1, 20 do assert(fs.realpath "/tmp") end
    print "done"
  ]]
  for call, ways in pairs {
    write = { { "EINTR", EINTR }, { "EIO", EIO } },
    read = { { "EINTR", EINTR }, { "EAGAIN", EAGAIN }, { "EIO", EIO } },
  } do
    for _, fault in ipairs(ways) do
      for _, skip in ipairs { 0, 3 } do
        it(("neither aborts nor hangs: %s of %s after %d"):format(fault[1], call, skip), function()
          local rules = { { call, errno = fault[2], skip = skip, count = 1, path = "eventfd" } }
          local start = halo.now()
          local stdout, stderr, status = run_with(rules, script)
          assert.same({ "done\n", "", 0 }, { stdout, stderr, status })
          assert(halo.now() - start < 10, "it hung for a while")
        end)
      end
    end
  end
end)
