-- Paths that lead into a slow place, however they are written: the kernel says where they lead, and
-- nobody waits for them but the task that asked.

local busted = require "busted"
local command = require "spec.support.command"
local fuse = require "spec.support.fuse"
local halo = require "halo"
local posix = require "spec.support.posix"

local fs = halo.fs

local SLOW_MS = 150
local LATE_S = 0.1
local TICK_S = 0.002
local ATTEMPTS = 3 -- a machine that is busy with other things may need more than one
local COPY_S = 2
local READDIRS = 60 -- one after the other, as the directory is locked

-- The other engines try nothing on the loop's thread.
local tries = (os.getenv "HALO_ENGINE" or "") ~= "ring" and os.getenv "HALO_ENGINE" ~= "pool"

describe("a path that leads into a slow place #slow", function()
  local before

  busted.after_each(function() -- before the directory is removed
    if before then
      assert(fs.chdir(before))
    end
  end)

  local mount, dir = fuse.mount(SLOW_MS)
  if not mount then
    it("holds up nobody", function()
      pending(dir)
    end)
    return
  end

  ---How late a task that sleeps is woken up at most while this runs.
  local function worst_lateness(work, ...)
    local worst, going = 0, true
    local ticker = halo.spawn(function()
      while going do
        local start = halo.now()
        halo.sleep(TICK_S)
        worst = math.max(worst, halo.now() - start - TICK_S)
      end
    end)
    halo.sleep(2 * TICK_S)
    local ok, problem = pcall(work, ...)
    going = false
    ticker:join()
    assert(ok, problem)
    return worst
  end

  local function assert_prompt(work, ...)
    local best = math.huge
    for _ = 1, ATTEMPTS do
      best = math.min(best, worst_lateness(work, ...))
      if best < LATE_S then
        return
      end
    end
    error(("others were held up for %.0f ms"):format(best * 1e3), 2)
  end

  -- What makes nothing that would be there the next time.
  local calls = {
    stat = function(path) assert(fs.stat(path)) end,
    stat_field = function(path) assert(fs.stat(path, "size")) end,
    lstat = function(path) assert(fs.lstat(path)) end,
    exists = function(path) assert(fs.access(path)) end,
    open = function(path) assert(fs.open(path)):close() end,
    readfile = function(path) assert(#fs.readfile(path) == 65536) end,
    readfile_into = function(path)
      assert(fs.readfile_into(path, halo.buffer(65536)) == 65536)
    end,
    lines = function(path) for _ in fs.lines(path) do end end,
    read = function(path)
      local file = assert(fs.open(path, "r+"))
      assert(#assert(file:read(10)) == 10 and #assert(file:pread(10, 0)) == 10)
      assert(file:pwrite("x", 0) and file:stat() and file:close())
    end,
    copy_from = function(path)
      assert(fs.copy(path, dir:path "copied"))
    end,
    chmod = function(path) fs.chmod(path, 420) end,
    utime = function(path) fs.utime(path, 1, 1) end,
    truncate = function(path) fs.truncate(path, 10) end,
    readlink = function(path) fs.readlink(path) end,
    realpath = function(path) assert(fs.realpath(path)) end,
    rename = function(path) fs.rename(path, path .. "2") end,
    link = function(path) fs.link(path, path .. "3") end,
    symlink = function(path) fs.symlink("target", path .. "4") end,
    mkdir = function(path) fs.mkdir(path .. "5") end,
    rmdir = function(path) fs.rmdir(path .. "6") end,
    remove = function(path) assert(fs.remove(path)) end,
    getxattr = function(path) fs.getxattr(path, "user.x") end,
    hash = function(path) assert(fs.hash(path)) end,
    statfs = function(path) fs.statfs(path) end,
    readdir = function(path) assert(fs.readdir(path:match "^(.*)/")) end,
    missing = function(path) assert(not fs.stat(path:match "^(.*)/" .. "/missing")) end,
  }
  for name in pairs(calls) do
    local known = name == "exists" and "access" or name == "copy_from" and "copy"
      or name == "stat_field" and "stat" or name == "missing" and "stat" or name
    if not fs[known] then
      calls[name] = nil
    end
  end

  -- How a file in there may be named. Each gives a path for a file's name.
  local ways = {
    ["by its absolute path"] = function(name) return mount.path .. "/" .. name end,
    ["relative to the working directory"] = function(name) return "slow/" .. name end,
    ["relative, with a dot"] = function(name) return "./slow/./" .. name end,
    ["through the directory above"] = function(name) return "other/../slow/" .. name end,
    ["through a link to the mount"] = function(name) return dir:path "link/" .. name end,
    ["through a relative link, relatively"] = function(name) return "link2/" .. name end,
    ["through links to links"] = function(name) return dir:path "link3/" .. name end,
    ["through a link to the file"] = function(name)
      local link = dir:path("to-" .. name)
      if not posix.exists(link) then
        posix.symlink(mount.path .. "/" .. name, link)
      end
      return link
    end,
    ["below a directory in there"] = function(name) return mount.path .. "/dir/" .. name end,
    ["through /proc/self/cwd"] = function(name) return "/proc/self/cwd/slow/" .. name end,
    ["with doubled slashes"] = function(name) return dir.root .. "//slow//" .. name end,
  }

  busted.before_each(function()
    assert(fs.mkdir(dir:path "other"))
    posix.symlink(mount.path, dir:path "link")
    posix.symlink("slow", dir:path "link2")
    posix.symlink("link2", dir:path "link3")
    before = before or assert(fs.realpath ".")
    assert(fs.chdir(dir.root))
  end)

  ---Each of them alone, since a policy that has seen one take long is careful with the next.
  local function assert_all_prompt(works)
    local late = {}
    for name, work in pairs(works) do
      local ok, problem = pcall(assert_prompt, work)
      if not ok then
        late[#late + 1] = name .. ": " .. problem
      end
    end
    table.sort(late)
    assert.same({}, late)
  end

  it("holds up nobody, however it is written", function()
    local works = {}
    for way, path_of in pairs(tries and ways or {}) do
      works[way] = function()
        halo.map({ "stat", "open", "readfile", "missing", "rename" }, function(name)
          calls[name](path_of("file-" .. name))
        end)
      end
    end
    assert_all_prompt(works)
  end)

  it("holds up nobody in any call", function()
    local works = {}
    for name, call in pairs(tries and calls or {}) do
      works[name] = function() call("slow/file-" .. name) end
    end
    assert_all_prompt(works)
  end)

  for name, place in pairs {
    ["its own descriptor"] = { "slow", "file" },
    ["that of the directory around it"] = { ".", "slow/file" },
    ["that of another beside it"] = { "other", "../slow/file" },
    ["that of one with a link into it"] = { ".", "link2/file" },
  } do
    it("holds up nobody by a directory: " .. name, function()
      local base, path = assert(fs.at(place[1])), place[2]
      local ok, problem = pcall(assert_prompt, function()
        assert(base:stat(path))
        assert(base:lstat(path))
        assert(base:open(path)):close()
        base:rename(path, path .. "2")
        assert(not base:stat(path:match "^(.-)[^/]*$" .. "missing"))
      end)
      base:close()
      assert(ok, problem)
    end)
  end

  it("holds up nobody by what a copy of it keeps", function()
    if not tries then
      return
    end
    local core = require "halo.core"
    local from, to = assert(fs.open(mount.path)), assert(fs.open(dir.root))
    local sleeper = halo.spawn(halo.sleep, 20) -- alone, a task may wait
    local direct = halo.stats().direct
    assert.is_true(core.keep(to, from, core.copy_flags.xattrs, 0, 0, 0, 0, 0, 0, 0))
    assert.equal(direct, halo.stats().direct)
    sleeper:cancel()
    from:close()
    to:close()
  end)

  it("holds up nobody when the working directory is in there", function()
    assert(fs.chdir(mount.path))
    assert_prompt(function()
      assert(fs.stat "file")
      assert(fs.open "file"):close()
      assert(#fs.readfile "file" == 65536)
    end)
  end)

  it("holds up nobody when the working directory has become that by other means", function()
    posix.chdir(mount.path)
    halo.yield()
    assert_prompt(function()
      assert(fs.stat "file")
      assert(fs.open "file"):close()
    end)
  end)

  it("holds up nobody when a slow place is mounted where a local one was", function()
    assert(fs.mkdir(dir:path "late"))
    assert(fs.writefile(dir:path "late/file", "local"))
    for _ = 1, 20 do
      assert(fs.stat "late/file")
      assert(fs.stat(dir:path "late/file"))
    end
    local program = fuse.program()
    os.execute(("%s >/dev/null 2>&1 &"):format(
      command.quote(program, dir:path "late", tostring(SLOW_MS))))
    for _ = 1, 100 do
      if command.run(command.quote("mountpoint", dir:path "late")):find "is a" then
        break
      end
      halo.sleep(0.05)
    end
    local ok, problem = pcall(assert_prompt, function()
      assert(fs.stat "late/file".size == 65536)
      assert(fs.stat(dir:path "late/file"))
      assert(fs.open "late/file"):close()
    end)
    command.run(command.quote("umount", "-l", dir:path "late"))
    assert(ok, problem)
  end)

  it("leaves a local copy its workers, where many list a directory", function()
    local data = ("0123456789abcdef"):rep(2 ^ 18)
    assert(fs.writefile("source", data))
    local in_flight = halo.stats().in_flight
    local hanging = {}
    for i = 1, READDIRS do
      hanging[i] = halo.spawn(fs.readdir, mount.path)
    end
    halo.sleep(0.02)
    local start = halo.now()
    assert(fs.copy("source", "copied"))
    local first = halo.now() - start
    for _ = 1, 5 do
      assert(fs.copy("source", "copied"))
      assert(fs.realpath "copied")
      assert(#fs.readfile "copied" == #data)
    end
    local took = halo.now() - start
    for _, task in ipairs(hanging) do
      task:cancel()
      pcall(task.join, task)
    end
    fuse.await_answers(in_flight)
    assert(first < COPY_S and took < COPY_S,
      ("a copy took %.1f s, and all %.1f"):format(first, took))
  end)

  it("leaves a local copy its workers, whatever forty others hang in", function()
    assert(fs.writefile("source", ("0123456789abcdef"):rep(2 ^ 18)))
    local in_flight, hanging = halo.stats().in_flight, {}
    local wanted = { "readdir", "copy_from", "readfile", "realpath", "readlink", "chmod" }
    for i = 1, 48 do
      local call = calls[wanted[i % #wanted + 1]]
      if call then
        hanging[#hanging + 1] = halo.spawn(function() pcall(call, mount.path .. "/file" .. i) end)
      end
    end
    halo.sleep(0.02)
    local start = halo.now()
    for _ = 1, 3 do
      assert(fs.copy("source", "copied"))
    end
    local took = halo.now() - start
    for _, task in ipairs(hanging) do
      task:cancel()
      pcall(task.join, task)
    end
    fuse.await_answers(in_flight)
    assert(took < COPY_S, ("three copies took %.1f s"):format(took))
  end)

  it("lets the calls that hang in there go on side by side", function()
    -- A share of the workers is more than one.
    local function time(count)
      local start, numbers = halo.now(), {}
      for i = 1, count do
        numbers[i] = i
      end
      halo.map(numbers, function(i)
        assert(fs.realpath(mount.path .. "/file" .. i))
      end)
      return halo.now() - start
    end
    local one, four
    for _ = 1, ATTEMPTS do
      one, four = time(1), time(4)
      if four < 3 * one then
        return
      end
    end
    error(("one took %.1f s, four %.1f"):format(one, four), 0)
  end)
end)
