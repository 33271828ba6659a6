-- A loop on kernels that can less, and where what it begins with cannot be had: answers of other
-- kernels, of sandboxes and of limits, put in the place of this one's (spec/support/faults.c).

local command = require "spec.support.command"
local faults = require "spec.support.faults"
local halo = require "halo"
local temp = require "spec.support.temp"

local run, quote = command.run, command.quote

local EINTR, ENOMEM, EINVAL, EMFILE, ENOSYS = 4, 12, 22, 24, 38
local MOUNTS_REMEMBERED = 16

local engine = os.getenv "HALO_ENGINE" or ""
engine = engine ~= "" and engine or "auto"

-- Files, a stream that waits, more polls than the ring takes, a timer; and the engine at the end.
local WORK = [[
  local halo = require "halo"
  halo.configure { max_in_flight = 8 }
  local fs, posix, path = halo.fs, require "spec.support.posix", arg[1]
  local names = {}
  for i = 1, 30 do names[i] = path .. i end
  halo.map(names, function(name)
    assert(fs.writefile(name, name))
    assert(fs.readfile(name) == name and fs.stat(name, "size") == #name)
    assert(fs.copy(name, name .. "copy"))
    assert(fs.symlink("target", name .. "link") and fs.readlink(name .. "link") == "target")
    assert(fs.remove(name .. "copy") and fs.remove(name .. "link"))
  end)
  local polls = {}
  for i = 1, 12 do
    local reader, writer = posix.pipe()
    polls[i] = halo.spawn(function() return halo.poll(reader, "r") end)
    halo.spawn(function() halo.sleep(0.01) posix.write(writer, "x") end)
  end
  for i = 1, 12 do assert(polls[i]:join()) end
  print(halo.engine(), halo.stats().in_flight)
]]

describe("a loop", function()
  local dir = temp.dir()
  local why_not = faults.unavailable() or not halo.engine() and "there is no engine"

  local function attempt(rules, script, environment)
    if why_not then
      pending(why_not)
      return
    end
    local log = dir:file "log"
    local line = ("env HALO_ENGINE= %s %s %s %s"):format(environment or "",
      quote(command.halo_bin, "--engine=" .. engine),
      quote(dir:file("script.lua", script or WORK)), quote(dir:path "victim"))
    local stdout, stderr, status = run(faults.line(rules, line, log))
    local _, count = dir:read("log"):gsub("\n", "")
    return stdout, stderr, status, count
  end

  ---Does its work on the ring where that is what it runs on, or else on workers.
  local function works(rules, on, environment)
    local stdout, stderr, status, count = attempt(rules, WORK, environment)
    assert.same({ "", 0 }, { stderr, status })
    assert.matches(engine == "pool" and "^pool\t" or "^" .. on .. "\t", stdout)
    assert.matches("\t0\n$", stdout)
    return count
  end

  ---Is told that there is no ring, or takes the workers.
  local function does_without(rules, told)
    if engine ~= "ring" then
      return works(rules, "pool")
    end
    local stdout, stderr, status = attempt(rules)
    assert.equal("", stdout)
    assert.matches(told, stderr)
    assert.equal(1, status)
  end

  it("works on a ring of older kernels", function()
    for older = 1, 2 do
      works({ { "setup", errno = EINVAL, count = older } }, "ring")
    end
  end)

  it("does without a ring that is not to be had, or lacks what it needs", function()
    does_without({ { "setup", errno = EINVAL } }, "EINVAL")
    does_without({ { "setup", errno = ENOMEM } }, "ENOMEM")
    does_without({ { "features", errno = 0 } }, "ENOSYS")
    does_without({ { "probe", errno = 0 } }, "ENOMEM")
    does_without({ { "enter", errno = ENOSYS } }, "ENOSYS")
    does_without({ { "enter", errno = EINTR } }, "EINTR")
  end)

  it("tells that there are no descriptors or no memory for it", function()
    local none = {
      { "eventfd", EMFILE, "EMFILE" }, { "mmap", ENOMEM, "ENOMEM" },
    }
    for _, case in ipairs(none) do
      local stdout, stderr, status = attempt { { case[1], errno = case[2] } }
      assert.equal("", stdout)
      assert.matches(case[3], stderr)
      assert.equal(1, status)
    end
  end)

  it("tells polls that there is no descriptor to wait with", function()
    local stdout, stderr = attempt({ { "epoll_create1", errno = EMFILE } }, WORK)
    if engine == "pool" then
      assert.matches("EMFILE", stderr)
    else
      assert.matches("EMFILE", stdout .. stderr)
    end
  end)

  it("goes by the table of mounts where they have no numbers that last, or none", function()
    for _, errno in ipairs { 0, EINVAL } do
      works({ { "mount_id", errno = errno } }, "ring")
    end
  end)

  it("takes nothing for near where there is no table of mounts", function()
    works({ { "fopen", errno = EMFILE, path = "mountinfo" } }, "ring")
    works({ { "mount_id", errno = 0 }, { "fopen", errno = EMFILE, path = "mountinfo" } }, "ring")
  end)

  it("reads any table of mounts", function()
    local table_path = dir:path "mounts"
    local own = assert(io.open "/proc/self/mountinfo"):read "*a"
    local odd = { "", "no separator", " - ", "x y z", "77 1 0:1 / /x rw -", "78 1 0:1 / /y rw - ",
      "79 1 0:1 / /proc/sys/fs/binfmt_misc rw - autofs systemd-1 rw",
      "80 1 0:1 / /net rw - autofs systemd-1 rw", "81 1 0:1 / /proc rw - autofs x rw" }
    -- Each pushes out of the few that are remembered what was there.
    local others = {}
    for id = 1000, 1000 + MOUNTS_REMEMBERED - 1 do
      others[#others + 1] = id .. " 1 0:9 / /far" .. id .. " rw - nfs4 server:/ rw"
    end
    for _, after in ipairs { "", table.concat(others, "\n") .. "\n" } do
      dir:file("mounts", own .. table.concat(odd, "\n") .. "\n" .. after)
      for _, rules in ipairs { {}, { { "mount_id", errno = 0 } } } do
        works(rules, "ring", "HALO_FAULTS_MOUNTS=" .. quote(table_path))
      end
    end
    dir:file("mounts", table.concat(others, "\n"))
    works({ { "mount_id", errno = 0 } }, "ring", "HALO_FAULTS_MOUNTS=" .. quote(table_path))
  end)
end)
