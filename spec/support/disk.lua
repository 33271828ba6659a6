-- A small file system of its own, which can be filled up to the last few bytes:
--
--     disk.each(function(place, kind)
--       it("is full", function()
--         place:leave(10000)               -- bytes that are free, about
--         fs.writefile(place.path .. "/file", ...)
--
-- The body is called once for each kind, in a block of its own; where one cannot be mounted its
-- tests are pending. It is taken away after the block, whatever became of the tests, and emptied
-- after each. Of a kind with a quota it is that which is used up, and the disk has room.

local busted = require "busted"
local command = require "spec.support.command"
local posix = require "spec.support.posix"

local quote, run = command.quote, command.run

local disk = {}

---@class spec.Disk
---@field root string a directory beside it
---@field path string where it is mounted
---@field why_not string? it could not be
---@field code string of the refusal where it is full
---@field full string the same with its message
---@field counts_names boolean? names and attributes take room as data does
local Disk = { code = "ENOSPC", full = "ENOSPC: no space left on device" }
Disk.__index = Disk

---One whose quota is used up: of a subvolume of btrfs, since such binds root as well, and counts
---names besides data. It is changed from without, as within that would be refused, too.
---@class spec.DiskQuota: spec.Disk
local DiskQuota = setmetatable({ code = "EDQUOT", full = "EDQUOT: disk quota exceeded",
  counts_names = true }, Disk)
DiskQuota.__index = DiskQuota

-- An image is sparse, and in memory, so that nothing waits for a disk; xfs takes no smaller one.
local kinds = {
  tmpfs = { options = "size=3m,nr_inodes=300" },
  ext4 = { size = "12M", format = "mkfs.ext4 -q -m 0 -I 256 -N 300 -E lazy_itable_init=0" },
  xfs = { size = "300M", format = "mkfs.xfs -q" },
  btrfs = { size = "120M", format = "mkfs.btrfs -q -M" },
  ["a quota of btrfs"] = { size = "200M", format = "mkfs.btrfs -q -M",
    part = "v", class = DiskQuota },
}

local function mount(place, kind)
  local made, image = kinds[kind], quote(place.memory .. "/image")
  local line = quote("mount", "-t", "tmpfs", "-o", made.options or "size=400m", "none",
    made.size and place.memory or place.path)
  if made.size then
    line = ("%s && truncate -s %s %s && %s %s && mount -o loop %s %s"):format(line, made.size,
      image, made.format, image, image, quote(made.part and place.whole or place.path))
  end
  if made.part then
    local part = quote(place.whole .. "/" .. made.part)
    line = ("%s && btrfs -q subvolume create %s && btrfs quota enable %s && mount --bind %s %s")
      :format(line, part, part, part, quote(place.path))
  end
  local _, stderr, status = run(line)
  return status ~= 0 and ("no %s can be mounted here: %s"):format(kind, stderr) or nil
end

---What takes all room until what is left is about so many bytes, and never less.
function Disk:leave(bytes)
  local fill = quote(self.path .. "/.fill")
  -- Most of it at once, and the rest, which may be in pieces, by ever smaller ones.
  local _, stderr, status = run(([[rm -f %s; sync -f %s
    free=$(($(stat -f -c %%a %s) * $(stat -f -c %%S %s)))
    fallocate -l $((free * 49 / 50)) %s 2>/dev/null
    for block in 64k 4k 512; do
      dd if=/dev/zero bs=$block oflag=append conv=notrunc >>%s 2>/dev/null
    done
    truncate -s -%d %s && sync -f %s]]):format(fill, quote(self.path), quote(self.path),
    quote(self.path), fill, fill, bytes, fill, quote(self.path)))
  assert(status == 0, stderr)
end

---What takes all room, and all names that there can be.
function Disk:leave_nothing()
  local make = ("mkdir -p %s; i=%d; while [ $i != %d ] && : >%s/$i; do i=$((i + 1)); done"):gsub(
    "%%s", quote(self.path .. "/.names"))
  run(make:format(0, 400)) -- while their directory can grow
  os.remove(self.path .. "/.names/0")
  self:leave(0)
  run(make:format(400, -1))
end

---Room again for whatever there is.
function Disk:clear()
  -- xfs gives back later what was removed.
  run(("rm -rf %s/.fill %s/.names; sync -f %s"):gsub("%%s", quote(self.path)))
end

local PART = "0/256" -- what the quota of the first subvolume is called

---@param limit string|integer bytes, or "none"
function DiskQuota:limit(limit)
  local _, stderr, status = run(("btrfs qgroup limit %s %s %s"):format(limit, PART,
    quote(self.whole)))
  assert(status == 0, stderr)
end

function DiskQuota:leave(bytes)
  local whole = quote(self.whole)
  local stdout, stderr, status = run(("sync -f %s && btrfs qgroup show --raw %s"):format(whole,
    whole))
  assert(status == 0, stderr)
  self:limit(tonumber(stdout:match("\n" .. PART .. " +(%d+)")) + bytes)
end

function DiskQuota:leave_nothing()
  self:leave(0)
end

function DiskQuota:clear()
  self:limit "none"
end

---The names that are in it, sorted, in one text.
function Disk:names()
  return (run(("cd %s && find . -mindepth 1 -name .names -prune -o "
    .. "! -name .fill ! -name lost+found -printf '%%P\\n' "
    .. "| LC_ALL=C sort | tr '\\n' ' '"):format(quote(self.path)))):gsub(" $", "")
end

---@param body fun(place: spec.Disk, kind: string)
---@param which string[]? kinds; all but btrfs, which counts its room in other ways
function disk.each(body, which)
  for _, kind in ipairs(which or { "tmpfs", "ext4", "xfs", "a quota of btrfs" }) do
    busted.describe("on " .. kind, function()
      local place = setmetatable({}, kinds[kind].class or Disk)

      busted.setup(function()
        place.root = posix.mkdtemp()
        place.path = place.root .. "/disk"
        place.memory, place.whole = place.root .. "/memory", place.root .. "/whole"
        assert(os.execute(quote("mkdir", place.path, place.memory, place.whole)) == 0)
        place.why_not = mount(place, kind)
      end)

      busted.teardown(function()
        for _, mounted in ipairs { place.path, place.whole, place.memory } do
          run(("mountpoint -q %s && { umount %s || umount -l %s; }"):gsub("%%s", quote(mounted)))
        end
        os.execute(quote("rm", "-rf", "--one-file-system", place.root))
      end)

      busted.after_each(function()
        if not place.why_not then
          place:clear()
          os.execute(("find '%s' -mindepth 1 -maxdepth 1 ! -name lost+found -exec rm -rf {} +")
            :format(place.path))
        end
      end)

      body(place, kind)
    end)
  end
end

return disk
