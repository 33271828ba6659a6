-- halo.lfs does what LuaFileSystem does: both are put through spec/support/lfs_cases.lua. And it
-- lets other tasks run.

local command = require "spec.support.command"
local fuse = require "spec.support.fuse"
local halo = require "halo"
local lfs = require "halo.lfs"
local survived = require "spec.support.survived"
local temp = require "spec.support.temp"

local fs = halo.fs
local quote, run = command.quote, command.run

local PROGRAMS = 300
local SLOW_MS, LATE_S = 200, 0.1
local ATTEMPTS = 3

local has_lfs = select(3, run "luajit -e 'require [[lfs]]'") == 0

---What a program prints, in a directory of its own.
local function output_of(line, directory, seed)
  assert(fs.mkdir(directory))
  local words = quote("spec/support/lfs_cases.lua", directory, PROGRAMS, seed)
  local output, trouble, status = run(line .. " " .. words, 120)
  assert.equal("", trouble)
  assert.equal(0, status)
  return output
end

---The first line that differs, and the program that it stands in.
local function difference(expected, got)
  local next_expected, next_got = expected:gmatch "[^\n]*", got:gmatch "[^\n]*"
  local program
  for line in next_expected do
    local other = next_got()
    program = line:match "^program .*" or program
    if line ~= other then
      return ("%s\n\texpected %s\n\tgot      %s"):format(program or "before", line, other)
    end
  end
  return next_got()
end

describe("halo.lfs", function()
  local dir = temp.dir()

  it("does what LuaFileSystem does, random programs included", function()
    if not has_lfs then
      return pending "luajit finds no LuaFileSystem"
    end
    local seed = tonumber(os.getenv "HALO_SEED") or os.time() % 1e6
    local expected = output_of("luajit", dir:path "theirs", seed)
    local got = output_of(command.halo "--lfs", dir:path "ours", seed)
    assert.is_nil(difference(expected, got))
    survived.tell { name = "lfs", kind = "random programs, as LuaFileSystem", tried = PROGRAMS,
      unit = "programs", lost = 0, command = "make test SPEC=spec/lfs_spec.lua" }
  end)

  it("is what require gives with --lfs, and only then", function()
    local code = "local l = require 'lfs'; print(l == require 'halo.lfs', l == lfs)"
    assert.equal("true\ttrue\n", (run(command.halo("--lfs", "-e", code))))
    local strict = "setmetatable(_G, { __newindex = error }); print(require 'lfs' == lfs)"
    assert.equal("true\n", (run(command.halo("--lfs", "-e", strict))))
    local other = "package.path, package.cpath = '', ''; print((pcall(require, 'lfs')))"
    assert.equal("false\n", (run(command.halo("-e", other))))
  end)

  it("works in plain luajit, in tasks and outside", function()
    local code = [[
      local lfs = require "halo.lfs"
      print(lfs.attributes("/", "mode"))
      require("halo").run(function() print(lfs.attributes("/", "mode")) end)
      table.sort({ 1, 2 }, function() print(lfs.attributes("/", "mode")) end)]]
    assert.equal(("directory\n"):rep(3), (run(command.luajit .. " -e " .. quote(code))))
  end)

  it("gives names while other tasks go on", function()
    for i = 1, 300 do
      dir:file("name" .. i)
    end
    local counts = halo.map({ 1, 2, 3, 4 }, function()
      local count = 0
      for _ in lfs.dir(dir.root) do
        count = count + 1
        halo.yield()
      end
      return count
    end)
    assert.same({ 302, 302, 302, 302 }, counts)
  end)

  it("closes a directory that nobody reads to its end", function()
    local before = halo.stats().files_open
    for _ = 1, 10 do
      lfs.dir(dir.root)
      local _, object = lfs.dir(dir.root)
      object:close()
    end
    collectgarbage()
    collectgarbage()
    halo.sleep(0.01)
    assert.equal(before, halo.stats().files_open)
  end)

  it("changes the directory once nobody looks up a path from it any more", function()
    local before = assert(fs.cwd())
    finally(function() assert(fs.chdir(before)) end)
    assert(lfs.chdir(dir.root))
    dir:fifo "fifo"
    local is_done, looked
    for _ = 1, ATTEMPTS do
      local writer = halo.spawn(fs.open, "fifo", fs.flags.WRONLY)
      halo.yield()
      local mover = halo.spawn(lfs.chdir, "/")
      halo.yield()
      looked = mover:status()
      local reader = assert(fs.open(dir:path "fifo"))
      assert(writer:join():close())
      is_done = mover:join()
      assert(reader:close())
      if is_done then
        break
      end -- it waits for a second, and the machine may have been busy longer than that
    end
    assert.is_true(is_done)
    assert.equal("waiting", looked)
    assert.equal("/", lfs.currentdir())
  end)

  it("frees its lock in a task that is cancelled", function()
    local lock = assert(lfs.lock_dir(dir.root))
    local task = halo.spawn(function()
      pcall(halo.sleep, 60)
      lock:free()
    end)
    halo.yield()
    task:cancel()
    pcall(task.join, task)
    assert.is_false(dir:has "lockfile.lfs")
  end)
end)

describe("halo.lfs in a slow place #slow", function()
  local mount, reason = fuse.mount(SLOW_MS)
  if not mount then
    it("holds up nobody", function()
      pending(reason)
    end)
    return
  end

  it("holds up nobody", function()
    local best = math.huge
    for _ = 1, 3 do -- a machine that is busy with other things may need more than one
      local worst, going = 0, true
      local ticker = halo.spawn(function()
        while going do
          local start = halo.now()
          halo.sleep(0.002)
          worst = math.max(worst, halo.now() - start)
        end
      end)
      halo.yield()
      local start = halo.now()
      assert.equal("directory", lfs.attributes(mount.path, "mode"))
      lfs.symlinkattributes(mount.path .. "/none")
      for _ in lfs.dir(mount.path) do
        lfs.touch(mount.path .. "/none")
      end
      assert.is_true(halo.now() - start > SLOW_MS / 1e3)
      going = false
      ticker:join()
      best = math.min(best, worst)
      if best < LATE_S then
        return
      end
    end
    error(("others were held up for %.0f ms"):format(best * 1e3))
  end)
end)
