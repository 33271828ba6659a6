-- Reads of what is not in memory, on a file system that cannot say so beforehand (overlayfs, the
-- usual root of containers): they hold up nobody, as they do not on others.

local busted = require "busted"
local command = require "spec.support.command"
local halo = require "halo"
local random = require "spec.support.random"
local temp = require "spec.support.temp"

local fs = halo.fs
local quote, run = command.quote, command.run

local FILE_MIB = 64
local READS = 300
local READERS = 8
local DIRECT_MAX = 0.7 -- of the reads, those that the kernel has read ahead by chance included

describe("cold reads on an overlay #slow", function()
  local dir, mount

  busted.after_each(function() -- before the directory around it is removed
    if mount then
      run(quote("umount", "-l", mount))
    end
  end)

  dir = temp.dir()

  ---Mounts an overlay over a directory with a big file in it. False where that is refused.
  local function mount_overlay()
    local line = "mkdir lower upper work merged"
      .. " && dd if=/dev/urandom of=lower/big bs=1M count=%d && sync lower/big && "
      .. "mount -t overlay overlay -o lowerdir=lower,upperdir=upper,workdir=work merged"
    local _, _, status = run("cd " .. quote(dir.root) .. " && " .. line:format(FILE_MIB))
    mount = status == 0 and dir:path "merged" or nil
    return mount ~= nil
  end

  ---Why nothing is cold there for longer than a read takes: the disk itself is in memory. What was
  ---refused once, and so begun, is then there when it is asked for again.
  local function not_cold()
    local source = run(quote("findmnt", "-n", "-o", "SOURCE,FSTYPE", "-T", dir.root))
    return (source:match "^/dev/loop" or source:match "tmpfs%s*$")
      and "nothing is cold on " .. source:match "%S+"
  end

  ---Mounts an overlay for a test, unless that test is left out, which it says.
  local function cannot()
    local reason = not_cold() or not mount_overlay() and "no overlay can be mounted here"
    if reason then
      pending(reason)
    end
    return reason
  end

  ---Takes the file's data out of memory.
  local function chill()
    local _, stderr, status = run(("dd if=%s iflag=nocache count=0"):format(
      quote(dir:path "lower/big")))
    assert(status == 0, stderr)
  end

  ---How many of the reads at random places of a cold file were done on the loop's thread.
  local function count_direct(path, read)
    chill()
    local file = assert(fs.open(path))
    assert(file:fadvise "random")
    local number = random.new(READS)
    local before = halo.stats().direct
    local places = {}
    for i = 1, READS do
      places[i] = number(0, FILE_MIB * 256 - 1) * 4096
    end
    halo.map(places, function(offset) read(file, offset) end, READERS)
    local direct = halo.stats().direct - before
    file:close()
    return direct
  end

  for name, read in pairs {
    read = function(file, offset) assert(file:pread(4096, offset)) end,
    read_into = function(file, offset) assert(file:pread_into(halo.buffer(4096), 4096, offset)) end,
  } do
    it("are left to those who may wait: " .. name, function()
      if cannot() then
        return
      end
      local direct = count_direct(mount .. "/big", read)
      assert(direct <= READS * DIRECT_MAX, ("%d of %d were waited for"):format(direct, READS))
    end)

    it("are left to those who may wait, as without the overlay: " .. name, function()
      if cannot() then
        return
      end
      local direct = count_direct(dir:path "lower/big", read)
      assert(direct <= READS * DIRECT_MAX, ("%d of %d were waited for"):format(direct, READS))
    end)
  end

  it("are not waited for where nothing is cold, either way", function()
    if not mount_overlay() then
      pending "no overlay can be mounted here"
      return
    end
    -- Correct above all: the same bytes by each way.
    local plain = assert(fs.open(dir:path "lower/big"))
    local file = assert(fs.open(mount .. "/big"))
    for i = 0, 50 do
      local offset = i * 12345
      assert.equal(plain:pread(5000, offset), file:pread(5000, offset))
    end
    plain:close()
    file:close()
  end)
end)
