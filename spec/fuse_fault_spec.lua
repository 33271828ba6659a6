-- A file system whose Nth call fails, for N = 1, 2, … until nothing has failed any more
-- (spec/support/fault_fuse.c): each call of halo's tells it, or has done what it says; nothing is
-- left behind, and the same call works afterwards. Then one that reads and writes in small pieces,
-- and one that does not answer at all. FAULTS_EVERY=1 in the environment leaves out no call.

local halo = require "halo"
local command = require "spec.support.command"
local fuse = require "spec.support.fuse"
local survived = require "spec.support.survived"

local fs = halo.fs
local run = command.run

local EIO = 5
local EVERY = tonumber(os.getenv "FAULTS_EVERY") or 5 -- call of those that take many; 1 is each
local MOST = 400 -- calls that one of halo's may take; it ends before
local TIMEOUT_S, LATE_S, EXIT_S = 0.05, 3, 12

-- Lines, so that a piece in the wrong place is seen.
local lines = {}
for i = 1, 2000 do
  lines[i] = ("%07d"):format(i)
end
local data = table.concat(lines, "\n") .. "\n"
local old = "what there was"

local function read(path)
  local file = io.open(path, "rb")
  local content = file and file:read "*a"
  if file then
    file:close()
  end
  return content
end

---What a tree holds, in one text: names in order, and what files contain.
local function show(path)
  return (run(("cd '%s' 2>/dev/null && find . ! -name . -printf '%%P %%y\\n' | LC_ALL=C sort && "
    .. "find . -type f ! -name .control | LC_ALL=C sort | xargs -r cat | cksum"):format(path)))
end

describe("a file system that fails #slow", function()
  local mount, dir = fuse.mount_faults()
  if not mount then
    it("is told", function()
      pending(dir)
    end)
    return
  end

  local at, behind, tree -- in the file system, the same directory below it, a tree elsewhere
  local tried = 0

  before_each(function()
    dir:file("original", data)
    at, behind, tree = mount.path .. "/area", mount.behind .. "/area", dir:path "tree"
    local pristine = dir:path "pristine"
    os.execute(("mkdir -p '%s/a/b' && cd '%s' && for i in 1 2 3; do echo $i >a/f$i; "
      .. "echo x >a/b/g$i; "
      .. "ln -s f$i a/l$i; done"):format(pristine, pristine))
  end)

  local function control(text)
    local file = assert(io.open(mount.path .. "/.control", "w"))
    file:write(text)
    file:close()
  end

  ---Ends a hang; all threads of the file system may be in it.
  local function release()
    local path = mount.behind .. "/.release"
    assert(io.open(path, "w")):close()
    control "off"
    os.remove(path)
  end

  ---How many calls there were since control(), and which has failed.
  local function calls()
    -- To look at it may be the call that fails, once.
    local text = read(mount.path .. "/.control") or read(mount.path .. "/.control")
    local count, failed = text:match "^(%d+) ([%w_]*)"
    return tonumber(count), failed
  end

  -- What each does, what has to be true where it says that it has, and where it says that not.
  local whole = function(name, content)
    return function() assert.is_true(read(behind .. "/" .. name) == content) end
  end
  local copied = function(name)
    return function() assert.equal(show(tree), show(behind .. "/" .. name)) end
  end
  local untouched = function() assert.equal(old, read(behind .. "/old")) end
  local cases = {
    ["fs.writefile"] = { function() return fs.writefile(at .. "/new", data) end,
      whole("new", data), untouched },
    ["fs.writefile and a sync"] = { function()
      return fs.writefile(at .. "/new", data, { sync = true })
    end, whole("new", data), untouched },
    ["an atomic fs.writefile"] = { function()
      return fs.writefile(at .. "/old", data, { atomic = true })
    end, whole("old", data), function()
      local content = read(behind .. "/old") -- it is new where the directory could not be synced
      assert.is_true(content == old or content == data)
    end },
    ["an atomic fs.writefile through a link"] = { function()
      return fs.writefile(at .. "/link", data, { atomic = true, xattrs = true })
    end, whole("old", data) },
    ["writes and a close"] = { function()
      local file, message, code = fs.open(at .. "/new", "w", { buffer = 1000 })
      if not file then
        return nil, message, code
      end
      local answer = { true }
      for i = 1, #lines do
        local ok
        ok, message, code = file:write(lines[i], "\n")
        answer = ok and answer or { nil, message, code }
      end
      local closed
      closed, message, code = file:close()
      answer = closed and answer or { nil, message, code }
      return unpack(answer, 1, 3)
    end, whole("new", data) },
    ["fs.readfile"] = { function() return fs.readfile(at .. "/data") end,
      function(got) assert.is_true(got == data) end },
    ["fs.lines"] = { function()
      local got = {}
      for line in fs.lines(at .. "/data") do
        got[#got + 1] = line
      end
      return got
    end, function(got) assert.same(lines, got) end },
    ["fs.hash"] = { function() return fs.hash(at .. "/data", "sha256") end, function(got)
      assert.equal(run(("sha256sum <'%s'"):format(behind .. "/data")):match "%x+", got)
    end },
    ["fs.copy"] = { function()
      return fs.copy(at .. "/data", at .. "/new", { mode = true, times = true })
    end, whole("new", data), function(where) assert.is_nil(read(behind .. "/new"), where) end },
    ["fs.copytree"] = { function() return fs.copytree(tree, at .. "/new") end, copied "new" },
    ["fs.move into it"] = { function() return fs.move(tree, at .. "/new") end, function()
      assert.is_false(fs.exists(tree))
    end, function() assert.equal("dir", fs.stat(tree, "type")) end },
    ["fs.move out of it"] = { function() return fs.move(at .. "/full", dir:path "new") end,
      copied "../../new", function() fs.rmtree(dir:path "new", { force = true }) end },
    ["fs.rmtree"] = { function() return fs.rmtree(at .. "/full") end, function()
      assert.equal("", show(behind .. "/full"))
    end },
    ["fs.mkdir with parents"] = { function()
      return fs.mkdir(at .. "/new/a/b/c", { parents = true })
    end, function() assert.equal("dir", fs.stat(behind .. "/new/a/b/c", "type")) end },
    ["fs.readdir"] = { function() return fs.readdir(at .. "/full/a") end,
      function(got) assert.equal(7, #got) end },
    ["fs.walk"] = { function()
      local count = 0
      for _ in fs.walk(at .. "/full", { stat = "size" }) do
        count = count + 1
      end
      return count
    end, function(got) assert.equal(11, got) end },
    ["fs.glob"] = { function() return fs.glob(at .. "/full/**/g*") end,
      function(got) assert.equal(3, #got) end },
    ["fs.mkstemp"] = { function()
      local file, path, code = fs.mkstemp(at .. "/newXXXXXX")
      if not file then
        return nil, path, code
      end
      return file:close()
    end, function() end },
    ["fs.tempfile"] = { function()
      local file, message, code = fs.tempfile(at)
      if not file then
        return nil, message, code
      end
      local count
      count, message, code = file:write(data)
      file:close()
      return count, message, code
    end, function() end },
    ["fs.mkdtemp"] = { function() return fs.mkdtemp(at .. "/newXXXXXX") end, function() end },
    ["a lock"] = { function()
      local file, message, code = fs.open(at .. "/old", "r+")
      if not file then
        return nil, message, code
      end
      local ok
      ok, message, code = file:lock "exclusive"
      file:close()
      return ok, message, code
    end, function() end },
  }

  local function prepare()
    control "off"
    os.execute(("rm -rf '%s' && mkdir '%s' && cd '%s' && printf '%s' >old && ln -s old link && "
      .. "cp '%s' data && cp -a '%s' full"):format(behind, behind, behind, old,
      dir:path "original", dir:path "pristine"))
  end

  -- What has failed so cannot be a success. (Of a write the kernel may have told that it was a
  -- short one, and a read it tries again; then what was written and read has to be right.)
  local told = { do_fsync = true, do_create = true, do_rename = true, do_unlink = true,
    do_rmdir = true, do_mkdir = true, do_link = true, do_symlink = true, do_readdir = true }

  local many = { ["fs.copytree"] = true, ["fs.move into it"] = true, ["fs.move out of it"] = true,
    ["fs.rmtree"] = true, ["fs.walk"] = true, ["fs.glob"] = true }

  for name, case in pairs(cases) do
    it("is told by " .. name .. ", at each of its calls", function()
      local step = many[name] and EVERY or 1
      local n, failed = -os.time() % step -- others each time
      repeat
        n = n + step
        prepare()
        os.execute(("rm -rf '%s' '%s' && cp -a '%s/full' '%s'"):format(tree, dir:path "new", behind,
          tree))
        control(("fail %d %d"):format(n, EIO))
        local ok, value, message, code = pcall(case[1])
        failed = select(2, calls())
        control "off"
        tried = tried + (failed ~= "" and 1 or 0)
        local where = ("the %dth, %s"):format(n, failed)
        if ok and value then
          assert.is_falsy(told[failed], where .. ": it is said to have succeeded")
          case[2](value)
        else
          local text = ok and message or value
          assert.matches("EIO", tostring(text), where)
          if ok then
            assert.equal("EIO", code, where)
          end
          (case[3] or function() end)(where)
        end
        for _, place in ipairs { behind, dir.root } do
          for left in fs.dir(place) do -- unless it cannot be removed
            assert.is_true(failed == "do_unlink" or not left:match "^%.halo", where)
          end
        end
        assert.is_true(n < MOST)
      until failed == ""
    end)
  end

  it("gives and takes little at a time, and all of it arrives", function()
    if os.getenv "HALO_ENGINE" == "ring" then
      return pending "FUSE does not allow a daemon to take less than it is given: EIO on the ring"
    end
    for _, bytes in ipairs { 1000, 4095, 7 } do
      prepare()
      control(("short %d"):format(bytes))
      local some = bytes == 7 and data:sub(1, 1000) or data
      assert.is_true(fs.writefile(at .. "/new", some))
      assert.is_true(fs.readfile(at .. "/new") == some)
      assert.is_true(fs.writefile(at .. "/old", { some:sub(1, 99), some:sub(100) },
        { atomic = true }))
      assert.is_true(fs.copy(at .. "/new", at .. "/copy") == #some)
      assert.is_true(fs.move(at .. "/copy", dir:path "moved"))
      assert.is_true(read(dir:path "moved") == some)
      local sum = fs.hash(at .. "/new", "sha256")
      assert.equal(run(("sha256sum <'%s/new'"):format(behind)):match "%x+", sum)
      local count = 0
      for line in fs.lines(at .. "/new") do
        count = count + 1
        assert.equal(lines[count], line)
      end
      local file = assert(fs.open(at .. "/new", "r+"))
      assert.equal(#some, file:write(some))
      assert.equal(#some, file:tell())
      assert.is_true(file:pread(#some, 0) == some)
      assert.is_true(file:close())
      for _, name in ipairs { "new", "old" } do
        assert.is_true(read(behind .. "/" .. name) == some)
      end
    end
  end)

  it("that does not answer holds up no timeout and no other task", function()
    prepare()
    local in_flight = halo.stats().in_flight
    local file = assert(fs.open(at .. "/old", "r+"))
    control "hang 1"
    local late = {}
    local function check(what, call)
      local start = halo.now()
      local result, _, code = halo.timeout(TIMEOUT_S, call)
      local took = halo.now() - start
      if result or code ~= "ETIMEDOUT" or took > LATE_S then
        late[#late + 1] = ("%s: %s after %.0f ms"):format(what, result or code, took * 1e3)
      end
    end
    local all = {}
    for _, name in ipairs { "fs.readfile", "fs.lines", "fs.hash", "fs.readdir", "fs.walk",
      "fs.glob", "fs.writefile", "an atomic fs.writefile", "fs.mkstemp", "fs.tempfile",
      "fs.copy", "fs.mkdir with parents", "a lock" } do
      all[#all + 1] = function() check(name, cases[name][1]) end
    end
    all[#all + 1] = function() check("fsync", function() return file:fsync() end) end
    all[#all + 1] = function()
      local own = dir:file("own", "hello")
      for _ = 1, 20 do
        local start = halo.now()
        assert.equal("hello", fs.readfile(own))
        assert.is_true(halo.now() - start < LATE_S)
      end
    end
    halo.all(all)
    release()
    file:close()
    fuse.await_answers(in_flight)
    assert.same({}, late)
  end)

  local on_file = {
    pread = function(file) return file:pread(100, 0) end,
    read = function(file) return file:read(3) end,
    read_into = function(file) return file:read_into(halo.buffer(10), 10) end,
    lines = function(file) return file:lines()() end,
    pwrite = function(file) return file:pwrite("x", 0) end,
    fsync = function(file) return file:fsync() end,
    stat = function(file) return file:stat "size" end,
    truncate = function(file) return file:truncate(1) end,
    fallocate = function(file) return file:fallocate(0, 10) end,
    fadvise = function(file) return file:fadvise "willneed" end,
    seek = function(file) return file:seek "end" end,
    lock = function(file) return file:lock "shared" end,
    getxattr = function(file) return file:getxattr "user.x" end,
    hash = function(file) return fs.hash(file, "xxh3") end,
    close = function(file) return file:close() end,
  }

  ---The longest that another task had to wait while this one was called.
  local function holds_up(call, file)
    local worst, last = 0, halo.now()
    local ticker = halo.spawn(function()
      while true do
        halo.sleep(0.005)
        worst, last = math.max(worst, halo.now() - last), halo.now()
      end
    end)
    pcall(halo.timeout, TIMEOUT_S, call, file)
    halo.sleep(0.01)
    ticker:cancel()
    return worst
  end

  it("that does not answer holds up no other task, whatever is done with an open file", function()
    prepare()
    local held, in_flight = {}, halo.stats().in_flight
    -- Should the loop's own thread hang, nobody here could release it.
    local rescue = command.start(("sleep 15; touch '%s/.release'"):format(mount.behind))
    for name, call in pairs(on_file) do
      local file = assert(fs.open(at .. "/data", "r+"))
      control "hang 1"
      local worst = holds_up(call, file)
      held[#held + 1] = worst > LATE_S and ("%s: %.0f ms"):format(name, worst * 1e3) or nil
      release()
      file:close()
      fuse.await_answers(in_flight)
    end
    rescue:signal "TERM"
    rescue:finish()
    assert.same({}, held)
  end)

  ---A call that is given up while the file system hangs, from its nth call on: how long that took,
  ---or nil where the call has ended before.
  local function give_up(n, call)
    local in_flight = halo.stats().in_flight
    control(("hang %d"):format(n))
    local rescue = halo.spawn(function() -- or what waits for the file system would hang for ever
      halo.sleep(4 * LATE_S)
      release()
    end)
    local start = halo.now()
    pcall(halo.timeout, TIMEOUT_S, call)
    local took = halo.now() - start
    local hung = took > 4 * LATE_S or calls() >= n
    rescue:cancel()
    release()
    fuse.await_answers(in_flight)
    return hung and took or nil
  end

  for _, name in ipairs { "fs.tempfile", "fs.mkstemp", "an atomic fs.writefile",
    "an atomic fs.writefile through a link", "fs.copy", "fs.readfile",
    "fs.lines", "fs.hash", "fs.readdir", "fs.walk", "fs.glob", "fs.writefile",
    "fs.writefile and a sync", "writes and a close", "fs.mkdir with parents", "a lock",
    "fs.rmtree" } do
    it("that answers no more in the midst of " .. name .. " holds up no timeout", function()
      local step = many[name] and EVERY or 1
      local late, left, n, took = {}, {}, -os.time() % step
      repeat
        n = n + step
        prepare()
        took = give_up(n, cases[name][1])
        if took and took > LATE_S then
          late[#late + 1] = ("the %dth, after %.0f ms"):format(n, took * 1e3)
        end
        for entry in fs.dir(behind) do
          left[#left + 1] = entry:match "^%.halo" and ("%s of the %dth"):format(entry, n) or nil
        end
        assert.is_true(n < MOST)
      until not took
      assert.same({}, late)
      assert.same({}, left)
    end)
  end

  for how, ending in pairs { ["exit"] = "os.exit(3)", ["fail"] = "error 'enough'" } do
    it("that does not answer lets a script " .. how, function()
      prepare()
      local script = ([[
        local halo, path = require "halo", arg[1]
        halo.spawn(halo.fs.writefile, path .. "/old", "new", { atomic = true })
        halo.spawn(halo.fs.stat, path .. "/data")
        for _ = 1, 5 do halo.yield() end
        %s]]):format(ending)
      control "hang 1"
      local start = halo.now()
      -- What the kernel may still write to is left to it, which a sanitizer would tell.
      local process = command.start("env ASAN_OPTIONS=detect_leaks=0:exitcode=99 "
        .. command.halo(dir:file("script.lua", script), at))
      halo.timeout(EXIT_S, function() -- what is in the kernel ends only once it is answered
        while process:signal "0" and halo.now() - start < EXIT_S - 4 do
          halo.sleep(0.05)
        end
      end)
      release()
      local _, stderr, status = process:finish()
      assert.equal(how == "exit" and 3 or 1, status, stderr)
      assert.is_true(halo.now() - start < EXIT_S)
    end)
  end

  teardown(function()
    survived.tell_of_file { name = "fuse_eio", kind = "EIO by the Nth call of a file system (FUSE)",
      tried = tried, unit = "calls",
      command = "make test SPEC=spec/fuse_fault_spec.lua FAULTS_EVERY=1" }
  end)
end)
