-- Which engine halo takes, and what it does where io_uring is refused to it: by a seccomp filter as
-- in containers (spec/support/deny_call.c), by RLIMIT_MEMLOCK, for lack of descriptors.

local command = require "spec.support.command"
local denial = require "spec.support.denial"
local tasks = require "spec.support.tasks"
local temp = require "spec.support.temp"

local run, quote = command.run, command.quote

-- The engine that the specs themselves run on must not choose for the commands in here.
local function halo(...)
  return "env -u HALO_ENGINE " .. command.halo(...)
end

local tell_engine = "print((require('halo').engine()))"
local _, _, ring_status = run(halo("--engine=ring", "-e", ""))
local ring_works = ring_status == 0

-- Uses every call there is, in a new directory, and prints what it got.
local workout = [[
  local halo, fs = require "halo", require "halo.fs"
  local function say(...) print(...) end
  say(fs.mkdir("dir"), fs.mkdir("dir"))
  local file = assert(fs.create("dir/file"))
  say(file:write("hello "), file:write({ "wide ", "world" }), file:fsync(), file:fdatasync())
  say(file:stat().size, file:close(), file:close())
  file = assert(fs.open("dir/file", "r+"))
  say(file:read(5), file:read(100), file:read(1), file:pwrite("J", 0), file:pread(3, 0))
  local buffer = halo.buffer(16)
  say(file:pread_into(buffer, 16, 6), buffer:string(0, 10), file:close())
  say(fs.rename("dir/file", "dir/renamed"), fs.stat("dir/file"))
  local entries = fs.readdir("dir")
  say(#entries, entries[1].name, entries[1].type, fs.lstat("dir/renamed").is_file)
  say(fs.rmdir("dir"))
  local sizes = halo.map({ "dir/renamed", "/nope", "dir" }, function(path)
    return tostring((fs.stat(path) or {}).type)
  end)
  say(table.concat(sizes, " "))
  local names = {}
  for i = 1, 100 do names[i] = "dir/" .. i end
  halo.map(names, function(name)
    local made = assert(fs.create(name))
    return made:write("x"), made:close()
  end)
  say(#fs.readdir("dir"), halo.stats().in_flight)
]]

describe("the engine", function()
  it("is the one of --engine", function()
    assert.same({ "pool\n", "", 0 }, { run(halo("--engine=pool", "-e", tell_engine)) })
  end)

  it("is the one of --engine before that of HALO_ENGINE", function()
    local line = "HALO_ENGINE=ring " .. command.halo("--engine=pool", "-e", tell_engine)
    assert.same({ "pool\n", "", 0 }, { run(line) })
  end)

  it("is that of --engine where HALO_ENGINE is empty", function()
    local line = "HALO_ENGINE= " .. command.halo("--engine=pool", "-e", tell_engine)
    assert.same({ "pool\n", "", 0 }, { run(line) })
  end)

  it("has to be one that there is, in HALO_ENGINE as well", function()
    local stdout, stderr, status = run("HALO_ENGINE=steam " .. command.halo("-e", tell_engine))
    assert.equal("", stdout)
    assert.matches("^halo: .*steam.*auto.*ring.*pool", stderr)
    assert.not_equal(0, status)
  end)

  it("is the ring where it works", function()
    if not ring_works then
      pending("this kernel refuses io_uring")
      return
    end
    for _, option in ipairs { "--engine=auto", "--engine=ring" } do
      assert.same({ "ring\n", "", 0 }, { run(halo(option, "-e", tell_engine)) })
    end
    assert.same({ "ring\n", "", 0 }, { run(halo("-e", tell_engine)) })
  end)

  it("says under -v why it was chosen", function()
    assert.matches("\nengine: pool %(asked for%)\n", (run(halo("-v", "--engine=pool"))))
    assert.matches("\nengine: %a+ %([^\n]*io_uring[^\n]*%)\n", (run(halo("-v"))))
  end)
end)

local deny_call, why_not = denial.program()

for _, denied in ipairs {
  { "setup", "EPERM", causes = { "seccomp", "kernel.io_uring_disabled" } },
  { "setup", "ENOSYS", causes = { "seccomp", "kernel" } },
  { "setup", "ENOMEM", causes = { "RLIMIT_MEMLOCK" } },
  { "setup", "EMFILE", causes = { "ulimit -n" } },
  { "setup", "EAGAIN", causes = {} },
  { "enter", "EPERM", causes = { "seccomp", "kernel.io_uring_disabled" } },
  { "enter", "ENOSYS", causes = { "seccomp", "kernel" } },
} do
  local call, code = denied[1], denied[2]

  describe("where io_uring_" .. call .. " is denied by " .. code, function()
    local dir = temp.dir()

    ---Runs halo under the denial; without results where it cannot be imposed.
    local function run_denied(...)
      if deny_call then
        return run("cd " .. quote(dir.root) .. "; env -u HALO_ENGINE "
          .. command.quote(deny_call, call, code, command.halo_bin, ...))
      end
      pending(why_not)
    end

    it("auto takes the pool, and says nothing of it", function()
      local stdout, stderr, status = run_denied("-e", tell_engine)
      if status then
        assert.same({ "pool\n", "", 0 }, { stdout, stderr, status })
      end
    end)

    it("-v tells the cause", function()
      local stdout, stderr, status = run_denied("-v")
      if status then
        local reason = stdout:match("\nengine: pool %((.*)%)\n")
        assert.matches("io_uring: " .. code, reason, 1, true)
        for _, cause in ipairs(denied.causes) do
          assert.matches(cause, reason, 1, true)
        end
        assert.same({ "", 0 }, { stderr, status })
      end
    end)

    it("everything works as with the ring", function()
      local stdout, stderr, status = run_denied("-e", workout)
      if status then
        assert.same({ "", 0 }, { stderr, status })
        local here = ("cd %s; rm -rf dir; "):format(quote(dir.root))
        local engine = ring_works and "--engine=ring" or "--engine=pool"
        assert.equal(run(here .. halo(engine, "-e", workout)), stdout)
        assert.matches("\n101\t0\n$", stdout)
      end
    end)

    it("--engine=ring is an error that names the cause", function()
      local stdout, stderr, status = run_denied("--engine=ring", "-e", "print 'ran'")
      if status then
        assert.matches("^halo: io_uring: " .. code .. ": [^\n]+\n$", stderr)
        for _, cause in ipairs(denied.causes) do
          assert.matches(cause, stderr, 1, true)
        end
        assert.same({ "", 1 }, { stdout, status })
      end
    end)

    it("--engine=pool does not care", function()
      local stdout, stderr, status = run_denied("-v", "--engine=pool")
      if status then
        assert.matches("\nengine: pool %(asked for%)\n", stdout)
        assert.same({ "", 0 }, { stderr, status })
      end
    end)
  end)
end

describe("a limit", function()
  local dir = temp.dir()

  -- Root is not subject to these limits, so that an ordinary user has to run halo.
  local as_user = "sh -c "
  if run("id -u") == "0\n" then
    as_user = command.exists("setpriv")
      and "setpriv --reuid=65534 --regid=65534 --clear-groups sh -c "
      or "su nobody -s /bin/sh -c "
  end

  ---Runs a copy of halo that everybody can reach, behind what sets the limit.
  local function run_limited(limit, ...)
    local here = ("cd %s && cp %s halo && chmod 777 . halo && "):format(quote(dir.root),
      quote(command.halo_bin))
    return run(here .. as_user .. quote(("unset HALO_ENGINE; exec 3>&- 4>&- 5>&-; %s ./halo %s")
      :format(limit, quote(...))))
  end

  describe("on locked memory, RLIMIT_MEMLOCK,", function()
    local function refuses_ring()
      local _, _, status = run_limited("ulimit -l 0;", "--engine=ring", "-e", "")
      return status ~= 0 or pending("this kernel does not count the ring's memory")
    end

    it("makes auto take the pool, and -v tell the limit", function()
      if refuses_ring() then
        local stdout, stderr, status = run_limited("ulimit -l 0;", "-v", "-e", tell_engine)
        assert.matches("\nengine: pool %([^\n]*RLIMIT_MEMLOCK[^\n]*%)\n", stdout)
        assert.matches("\npool\n$", stdout)
        assert.same({ "", 0 }, { stderr, status })
      end
    end)

    it("is named by the error of --engine=ring", function()
      if refuses_ring() then
        local stdout, stderr, status = run_limited("ulimit -l 0;", "--engine=ring", "-e", "x = 1")
        assert.matches("^halo: io_uring: ENOMEM: [^\n]*RLIMIT_MEMLOCK[^\n]*\n$", stderr)
        assert.same({ "", 1 }, { stdout, status })
      end
    end)
  end)

  describe("on descriptors, RLIMIT_NOFILE,", function()
    -- Four leave one beside the standard ones, which halo has before it asks for a ring.
    it("is named by the error of --engine=ring", function()
      local stdout, stderr, status = run_limited("ulimit -n 4;", "--engine=ring", "-e", "print(1)")
      assert.matches("^halo: io_uring: EMFILE: [^\n]*ulimit %-n[^\n]*\n$", stderr)
      assert.same({ "", 1 }, { stdout, status })
    end)

    it("makes auto take the pool, or is named", function()
      local stdout, stderr, status = run_limited("ulimit -n 4;", "-e", tell_engine)
      if status == 0 then
        assert.same({ "pool\n", "" }, { stdout, stderr })
      else
        assert.matches("^halo: [^\n]*EMFILE[^\n]*ulimit %-n", stderr)
        assert.equal(1, status)
      end
    end)

    for _, engine in ipairs { "auto", "pool" } do
      it("is a refusal of open, on " .. engine, function()
        local stdout, stderr, status = run_limited("ulimit -n 6;", "--engine=" .. engine, "-e", [[
          local fs = require "halo.fs"
          local files, refusal = {}
          repeat
            files[#files + 1], refusal = fs.open("/dev/null")
          until refusal
          print(#files <= 2, refusal)
          files[1]:close()
          print(fs.open("/dev/null") ~= nil)
        ]])
        assert.equal("true\tEMFILE: too many open files: /dev/null\ntrue\n", stdout)
        assert.same({ "", 0 }, { stderr, status })
      end)
    end
  end)

  -- Each of these alone, and all of them.
  describe("of any kind", function()
    local sanitized = (os.getenv "SANITIZE" or "") ~= "" -- whose threads and files count as well
    local limits = { "--memlock=0", "--nofile=16", "--nproc=1", "--nofile=16 --nproc=1 --memlock=0",
      "--nofile=10 --nproc=1 --memlock=0" }
    for _, limit in ipairs(limits) do
      for _, engine in ipairs { "auto", "pool" } do
        it(("is no obstacle to %s: %s"):format(engine, limit), function()
          if not command.exists "prlimit" or sanitized then
            pending("there is no prlimit, or a sanitizer that has needs of its own")
            return
          end
          -- What opens more files at once than there may be is another matter.
          local stdout, stderr, status = run_limited("exec prlimit " .. limit,
            "--engine=" .. engine, "-e", (workout:gsub("(map%(names, function%(name%).-\n  end)%)",
              "%1, 2)")))
          assert.matches("\n101\t0\n$", stdout)
          assert.same({ "", 0 }, { stderr, status })
        end)
      end
    end
  end)

  -- A leak check needs a thread itself.
  describe("on threads, RLIMIT_NPROC,", function()
    for _, engine in ipairs { "auto", "pool" } do
      it("is no obstacle to " .. engine, function()
        if not command.exists("prlimit") or (os.getenv("SANITIZE") or "") ~= "" then
          pending("there is no prlimit, or a sanitizer that needs threads")
          return
        end
        local stdout, stderr, status = run_limited("exec prlimit --nproc=1",
          "--engine=" .. engine, "-e", workout)
        assert.matches("\n101\t0\n$", stdout)
        assert.same({ "", 0 }, { stderr, status })
      end)
    end
  end)
end)

-- The ring has as few places as the limit asks for: four to submit, eight for what has ended.
describe("queues that are far too short for 10,000 tasks", function()
  local dir = temp.dir()
  local TASKS = tasks.rounds(10000)

  for _, limit in ipairs { 1, 2, 4 } do
    for _, engine in ipairs { "ring", "pool" } do
      it(("are waited for by all, max_in_flight = %d on %s"):format(limit, engine), function()
        if engine == "ring" and not ring_works then
          pending("this kernel refuses io_uring")
          return
        end
        dir:file("file", "hello")
        local stdout, stderr, status = run(halo("--engine=" .. engine, "-e", ([[
          local halo = require "halo"
          local fs, path = halo.fs, %q
          halo.configure { max_in_flight = %d }
          local calls = {
            function() return fs.stat(path).size == 5 end,
            function() return fs.readfile(path) == "hello" end,
            function() return fs.readlink "/proc/self/fd/0" end,
            function()
              local file = fs.open(path)
              return file:read(9) == "hello" and file:pread(9, 1) == "ello" and file:close()
            end,
          }
          local numbers, resumed = {}, 0
          for i = 1, %d do numbers[i] = i end
          halo.map(numbers, function(i)
            halo.yield()
            assert(calls[i %% #calls + 1]())
            resumed = resumed + 1
          end, #numbers)
          local stats = halo.stats()
          print(resumed, stats.in_flight, stats.unknown, stats.files_open)
        ]]):format(dir:path "file", limit, TASKS)))
        assert.same({ TASKS .. "\t0\t0\t0\n", "", 0 }, { stdout, stderr, status })
      end)
    end
  end
end)

describe("halo.stats", function()
  it("tells how many operations were in flight at once", function()
    local program = [[
      local halo = require "halo"
      halo.map({ 1, 2, 3, 4, 5 }, function() assert(halo.fs.stat "/") end)
      print(halo.stats().in_flight_most)]]
    assert.equal("5\n", (run(command.halo("--engine=pool", "-e", program))))
    assert.equal("1\n", (run(command.halo("--engine=auto", "-e",
      program:gsub("1, 2, 3, 4, 5", "1")))))
  end)
end)
