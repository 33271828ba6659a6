-- A file system on which every call takes long (spec/support/slow_fuse.c), or fails when it is to
-- (spec/support/fault_fuse.c), mounted for each test of the block that calls this, in a directory
-- of spec.support.temp:
--
--     local mount, dir = fuse.mount(500)     -- milliseconds
--
-- mount.path is where, while a test runs. Where it is not possible there is no mount, and a reason.

local busted = require "busted"
local build = require "spec.support.build"
local command = require "spec.support.command"
local halo = require "halo"
local temp = require "spec.support.temp"

local fs = halo.fs
local quote, run = command.quote, command.run

local fuse = {}

local programs = {}

local function find_program(name)
  local is_root = run "id -u" == "0\n"
  if run("test -w /dev/fuse && echo yes") ~= "yes\n" then
    return nil, "there is no /dev/fuse to write to"
  elseif select(3, run("pkg-config --exists fuse3")) ~= 0 then
    return nil, "libfuse3-dev is not installed"
  elseif not is_root and not command.exists("fusermount3") then
    return nil, "fuse3 is not installed, which has fusermount3"
  end
  return build.program(name, "$(pkg-config --cflags --libs fuse3)")
end

---The program, built the first time. Nil and a reason where that is not possible.
---@param name string?
---@return string? path
---@return string? reason
function fuse.program(name)
  name = name or "slow_fuse"
  programs[name] = programs[name] or { find_program(name) }
  return programs[name][1], programs[name][2]
end

local function unmount(path)
  if command.exists "fusermount3" then
    run(quote("fusermount3", "-u", "-z", path))
  else
    run(quote("umount", "-l", path))
  end
end

local function is_mounted(path)
  return run(quote("mountpoint", "-q", path) .. " && echo yes") == "yes\n"
end

---A mount for each test of the block, by this program with these arguments behind the place.
local function mount_by(name, arguments)
  local found, reason = fuse.program(name)
  if not found then
    return nil, reason
  end
  local mount = {}

  busted.after_each(function() -- before the directory around it is removed
    unmount(mount.path)
  end)

  local dir = temp.dir()

  busted.before_each(function()
    mount.path, mount.behind = dir:path "slow", dir:path "behind"
    assert(fs.mkdir(mount.path) and fs.mkdir(mount.behind))
    os.execute(("%s >/dev/null 2>&1 &"):format(quote(found, mount.path, unpack(arguments(mount)))))
    for _ = 1, 100 do
      if is_mounted(mount.path) then
        return
      end
      halo.sleep(0.05)
    end
    error("the file system was not mounted in time")
  end)
  return mount, dir
end

---@param delay_ms integer what each call takes
---@param call string? only this one
---@return { path: string }? mount
---@return spec.Dir|string dir or the reason
function fuse.mount(delay_ms, call)
  return mount_by("slow_fuse", function()
    return { tostring(delay_ms), call }
  end)
end

---One whose calls fail as its file ".control" says (spec/support/fault_fuse.c). behind is where its
---files are.
---@return { path: string, behind: string }? mount
---@return spec.Dir|string dir or the reason
function fuse.mount_faults()
  return mount_by("fault_fuse", function(mount)
    return { mount.behind }
  end)
end

---What has been done there so far, in lines, as slow_fuse.c tells them. It does not take long.
---@return string[]
function fuse.log(mount)
  local lines = {}
  local file = assert(io.open(mount.path .. "/log"))
  for line in file:lines() do
    lines[#lines + 1] = line
  end
  file:close()
  return lines
end

---Calls that slow_fuse.c has not answered yet wait until they are released.
function fuse.hold(mount)
  assert(io.open(mount.path .. ".held", "w")):close()
end

function fuse.release(mount)
  assert(os.remove(mount.path .. ".held"))
end

---What was cancelled holds its record until the file system has answered, one call after the
---other where they lock a directory.
---@param in_flight integer how many operations there may be
function fuse.await_answers(in_flight)
  local deadline = halo.now() + 15
  while halo.stats().in_flight > in_flight and halo.now() < deadline do
    halo.sleep(0.05)
  end
end

return fuse
