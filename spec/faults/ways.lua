-- Runs calls that take several system calls with more faults than spec/faults/cells.lua has, one
-- at each place: those for which there may be another way, so that the call succeeds all the same;
-- and with somebody else who gives names to other files between any two system calls. Run in
-- build/faults/halo:
--
--     halo spec/faults/ways.lua [company] [PART...]
--
-- In company another task runs meanwhile, so that the engine auto tries instead of waiting.
-- A call either has all that was asked for, or tells; it leaves no litter, no descriptor, and
-- nobody else's file is touched. Prints what went wrong, and how many were tried.

local acts = require "spec.faults.acts"
local armed = require "spec.faults.armed"
local core = require "halo.core"
local ffi = require "ffi"
local halo = require "halo"
local posix = require "spec.support.posix"
local fs = halo.fs

ffi.cdef [[
void faults_set_names(const char *one, const char *other);
void faults_deny_openat2(bool denied);
]]

local C, AT_FDCWD, copy_flags = ffi.C, core.AT_FDCWD, core.copy_flags
local NONE_MOVED, SWAP = 100001, 100002
local ACL = "\2\0\0\0" .. "\1\0\7\0\255\255\255\255" .. "\2\0\4\0\253\255\0\0"
  .. "\4\0\1\0\255\255\255\255" .. "\16\0\7\0\255\255\255\255" .. "\32\0\1\0\255\255\255\255"
local SPARSE_BYTES = 300000
local POINTS_MAX = 120 -- of one call

local errors = {
  EPERM = 1, ENOENT = 2, EINTR = 4, EIO = 5, ENXIO = 6, EBADF = 9, EAGAIN = 11, EACCES = 13,
  EXDEV = 18, ENOTDIR = 20, EINVAL = 22, ENOTTY = 25, ETXTBSY = 26, ERANGE = 34, ENOSYS = 38,
  ELOOP = 40, ENODATA = 61, EOVERFLOW = 75, EOPNOTSUPP = 95, short = 100000, nothing = NONE_MOVED,
}
local names = {}
for name in pairs(errors) do
  names[#names + 1] = name
end
table.sort(names)
-- Where there is no other way.
local FEW = { "EAGAIN", "EINTR", "EIO", "ENOENT", "EOPNOTSUPP", "nothing" }

local function set(text)
  local found = {}
  for word in text:gmatch "%S+" do
    found[word] = true
  end
  return found
end

-- What nobody is to see of a copy, by the call that failed.
local left_out = set "EOPNOTSUPP EPERM EACCES ENODATA"
local no_owner = set "EPERM EINVAL EOVERFLOW EOPNOTSUPP ENOSYS"
local other_way = {
  copy_file_range = set "EXDEV EINVAL ENOSYS EOPNOTSUPP EBADF EPERM EINTR nothing short",
  ioctl = set(table.concat(names, " ")),
  lseek = set "EINVAL EIO ENOSYS EOPNOTSUPP",
  fstatfs = set(table.concat(names, " ")),
  fgetxattr = left_out, fsetxattr = left_out, fremovexattr = left_out, flistxattr = left_out,
  getxattr = left_out, setxattr = left_out, removexattr = left_out, listxattr = left_out,
  fchownat = no_owner,
  pread = set "short EINTR", pwrite = set "short EINTR",
}

local company = arg[1] == "company"
if company then
  table.remove(arg, 1)
end
local home = posix.mkdtemp()
local root = home .. "/root"

-- ---- the calls ----------------------------------------------------------------------------------

local list = {}

local function add(name, call, more)
  local act = { name = name, call = call, swaps = {} }
  for key, value in pairs(more or {}) do
    act[key] = value
  end
  list[#list + 1] = act
end

local function bits(...)
  local sum = 0
  for _, name in ipairs { ... } do
    sum = sum + copy_flags[name]
  end
  return sum
end

local function copy(from, to, ...)
  local flags = bits(...)
  return function()
    return core.copyfile(AT_FDCWD, root .. "/" .. from, AT_FDCWD, root .. "/" .. to, flags)
  end
end

local function sparse()
  local file = assert(fs.open(root .. "/file", "r+"))
  assert(file:pwrite(("z"):rep(70000), SPARSE_BYTES))
  assert(file:truncate(2 * SPARSE_BYTES))
  file:close()
end

local function with_acl()
  fs.setxattr(root .. "/file", "system.posix_acl_access", ACL)
  fs.chown(root .. "/file", 65533, 65533) -- where that is permitted
end

local kinds = { "fifo", "link", "dir", "long_file", "" }
local keeps = { "mode", "times", "owner", "xattrs" }

local function swaps_of(...)
  local pairs_of = {}
  for _, name in ipairs { ... } do
    for _, kind in ipairs(kinds) do
      if kind ~= name then
        pairs_of[#pairs_of + 1] = { name, kind }
      end
    end
  end
  return pairs_of
end

add("a copy of a small file", copy("file", "free"), { copies = true, swaps = swaps_of "file" })
add("a copy of a long file", copy("long_file", "free"), { copies = true })
add("a copy of a file with holes", copy("file", "free"), { copies = true, before = sparse })
add("a copy of what says no size", function()
  return fs.copy("/proc/version", root .. "/free")
end, { copies = true })
add("a copy over a file", copy("long_file", "file"), { over = true, swaps = swaps_of "file" })
add("a copy that may not share", copy("long_file", "free", "no_link"), { copies = true })
add("a copy that has to share", copy("long_file", "file", "reflink"), { over = true })
add("a copy to a device", function()
  return fs.copy(root .. "/long_file", "/dev/null")
end, { copies = true })
add("a copy that keeps all", copy("file", "free", unpack(keeps)),
  { copies = true, before = with_acl, swaps = swaps_of("file", "free") })
add("a copy that keeps the group", copy("file", "free", unpack(keeps)),
  { copies = true, before = function() fs.chown(root .. "/file", 0, 65533) end })
for _, from in ipairs { "file", "link", "fifo" } do
  add("a copy of whatever there is, " .. from,
    copy(from, "free", "any", "no_follow", "exclusive", "single", unpack(keeps)),
    { copies = true, swaps = swaps_of(from, "free") })
end
add("a copy of whatever there is to a name that is taken", copy("fifo", "file", "any"),
  { over = true, swaps = swaps_of("fifo", "file") })

---Below a directory that confines.
local function open_base()
  return assert(fs.at(root, { beneath = true }))
end

local below = {
  ["a copy"] = function(base) return base:copy("full/../file", "full/free", { times = true }) end,
  ["an open of a link"] = function(base)
    local file, message, code = base:open("full/../link", "r")
    return file and file:close(), message, code
  end,
  ["an open that makes"] = function(base)
    local file, message, code = base:open("./full/free", "w")
    return file and file:close(), message, code
  end,
  ["a readdir"] = function(base) return base:readdir "full" end,
  ["a rename"] = function(base) return base:rename("file", "full/free") end,
  ["a chmod"] = function(base) return base:chmod("link", 420) end,
  ["a stat"] = function(base) return base:stat("full/../link", "size") end,
  ["a removal"] = function(base) return base:remove("full/x") end,
  ["an mkdir"] = function(base) return base:mkdir("full/../free") end,
  ["a walk with links"] = function(base)
    posix.symlink("../dir", root .. "/full/to_dir")
    local count = 0
    for _ in base:walk("full", { follow = true, stat = true }) do
      count = count + 1
    end
    return count
  end,
  ["an mkdir of what is above"] = function(base) return base:mkdir "full/.." end,
  ["a removal of itself"] = function(base) return base:remove "full/." end,
  ["an mkdir of nothing"] = function(base) return base:mkdir "" end,
  ["an mkdir with slashes"] = function(base) return base:mkdir "..free//" end,
  ["a tree"] = function(base)
    posix.mkfifo(root .. "/full/pipe")
    return base:copytree("full", "dir/free")
  end,
  ["a list of attributes"] = function(base) return base:listxattr("file") end,
}
for _, denied in ipairs { false, true } do
  for name, call in pairs(below) do
    add(("%s below a directory, %s openat2"):format(name, denied and "without" or "with"),
      call, { denied = denied, loose = true, raises = true, prepare = open_base,
        swaps = swaps_of("file", "full", "link", "full/x") })
  end
end

add("a listing with all", function()
  return fs.readdir(root, { stat = true })
end, { loose = true, swaps = swaps_of("full", "file", "link") })
for _, denied in ipairs { false, true } do
  for _, option in ipairs { "stat", "follow" } do
    add(("a walk with %s, %s openat2"):format(option, denied and "without" or "with"), function()
      local count = 0
      for _ in fs.walk(root, { [option] = true }) do
        count = count + 1
      end
      return count
    end, { loose = true, denied = denied, raises = true, swaps = swaps_of("full", "full/x") })
  end
end
add("a digest", function()
  return fs.hash(root .. "/long_file", "md5")
end, { loose = true, swaps = { { "long_file", "dir" }, { "long_file", "" } } })
add("a read of all", function()
  return fs.readfile(root .. "/long_file")
end, { loose = true, swaps = { { "long_file", "dir" }, { "long_file", "" } } })
add("a read at a place", function(file)
  return file:pread(100000, 10)
end, { loose = true, prepare = function() return assert(fs.open(root .. "/long_file")) end })
add("a read of a fresh file", function()
  local file, message, code = fs.open(root .. "/long_file")
  if not file then
    return nil, message, code
  end
  local data
  data, message, code = file:read(100000)
  file:close()
  return data, message, code
end, { loose = true })
for _, flag in ipairs { "SYNC", "RDWR" } do
  add("a write to a file of " .. flag, function(file)
    local count, message, code = file:pwrite("x", 0)
    if count then
      count, message, code = file:fsync()
    end
    return count, message, code
  end, { loose = true, all = true, prepare = function()
    return assert(fs.open(root .. "/file", fs.flags.RDWR + (flag == "SYNC" and fs.flags.SYNC or 0)))
  end })
end
add("a realpath", function()
  return fs.realpath(root .. "/link")
end, { loose = true, swaps = swaps_of "link" })
add("a process", function()
  local process, message, code = halo.process.spawn { "true", cwd = root .. "/dir", stdin = "null" }
  if not process then
    return nil, message, code
  end
  return process:wait()
end, { loose = true, collected = true })
add("a removal of all", function()
  return fs.remove(root .. "/full", { recursive = true })
end, { over = true, swaps = swaps_of "full/x" })

-- ---- one cell -----------------------------------------------------------------------------------

local cells, wrong = 0, 0

local function told(act, what, where, message)
  wrong = wrong + 1
  if wrong <= 60 then
    print(("wrong: %s: %s in %s: %s"):format(act.name, what, where, message))
  end
end

local function quiet()
  local start = halo.now()
  while halo.stats().in_flight > 0 and halo.now() - start < 2 do
    halo.yield()
  end
end

local function call(act, subject)
  local over = not company
  local other = company and halo.spawn(function()
    while not over do
      halo.yield()
    end
  end)
  local ok, result, message, code = pcall(act.call, subject)
  over = true
  if other then
    other:join()
  end
  return ok, result, message, code
end

---@return table cell
local function run(act, nth, error, count)
  acts.build(root)
  if act.before then
    act.before()
  end
  local before_tree = acts.look(root)
  collectgarbage "stop"
  local before = acts.count_descriptors()
  local subject = act.prepare and act.prepare()
  C.faults_deny_openat2(act.denied or false)
  armed.arm(armed.CALL, nth, error, count)
  local ok, result, message, code = call(act, subject)
  local seen, hits = armed.disarm()
  C.faults_deny_openat2(false)
  if subject then
    subject:close()
  end
  quiet()
  local after = acts.count_descriptors()
  collectgarbage "restart"
  local cell = {
    raised = not ok and result, refused = ok and result == nil, message = message, code = code,
    seen = seen, hits = hits, where = armed.failed(), before_tree = before_tree,
    tree = acts.look(root), leaked = after - before,
  }
  acts.clear(root)
  return cell
end

---What names stand for that were not there before, or are no more.
local function difference(tree, other)
  local found = {}
  for name, what in pairs(tree) do
    if other[name] ~= what then
      found[#found + 1] = name
    end
  end
  for name in pairs(other) do
    if not tree[name] then
      found[#found + 1] = name
    end
  end
  return table.concat(found, ", ")
end

---What says that the file has another size, or is a device that has none.
local function is_another_size(where, fault)
  return fault == "nothing" or where == "lseek" and fault == "ENXIO"
    or where == "ftruncate" and fault == "EINVAL"
end

local function check(act, clean, cell, fault)
  local function complain(message)
    told(act, fault, cell.where, message)
  end
  if cell.raised and not act.raises then
    complain("it raises " .. tostring(cell.raised))
  end
  if cell.leaked > 0 and not act.collected then -- closed with the object that stands for it
    complain(cell.leaked .. " descriptors are left")
  end
  local must = act.copies and other_way[cell.where]
  if cell.refused then
    if cell.tree.free and not cell.before_tree.free then
      complain("litter after " .. cell.message)
    end
    if must and must[fault] and not clean.refused then
      complain("it says " .. cell.message)
    end
  elseif act.copies and not is_another_size(cell.where, fault) then
    local changed = difference(cell.tree, clean.tree)
    if changed ~= "" then
      complain("it succeeds, but " .. changed)
    end
  end
end

---Nobody else's file is lost: each thing that was there is there, under one name or another.
local function check_swap(act, cell, swap)
  local what = ("%s for %s"):format(swap[1], swap[2])
  if cell.raised and not act.raises then
    told(act, what, cell.where, "it raises " .. tostring(cell.raised))
  end
  if cell.leaked > 0 then
    told(act, what, cell.where, cell.leaked .. " descriptors are left")
  end
  local there = {}
  for _, content in pairs(cell.tree) do
    there[content] = true
  end
  for name, content in pairs(cell.before_tree) do
    local given_up = swap[2] == "" and name == swap[1]
    if not act.over and not act.loose and not given_up and not there[content] then
      told(act, what, cell.where, name .. " is lost")
    end
  end
end

local function is_wanted(act)
  for i = 1, #arg do
    if act.name:find(arg[i], 1, true) then
      return true
    end
  end
  return #arg == 0
end

local function go_through_swap(act, swap, nth, count)
  local other = swap[2] ~= "" and root .. "/" .. swap[2] or ""
  C.faults_set_names(root .. "/" .. swap[1], other)
  local cell = run(act, nth, SWAP, count)
  if cell.hits > 0 then
    cells = cells + 1
    check_swap(act, cell, swap)
  end
end

local function go_through(act)
  local clean = run(act, armed.NEVER, 0)
  for nth = 1, math.min(clean.seen, POINTS_MAX) do
    for _, fault in ipairs(act.loose and not act.all and FEW or names) do
      local cell = run(act, nth, errors[fault])
      if cell.hits > 0 then
        cells = cells + 1
        check(act, clean, cell, fault)
      end
    end
    for _, swap in ipairs(act.swaps) do
      go_through_swap(act, swap, nth, 1)
    end
  end
  for _, swap in ipairs(act.swaps) do
    go_through_swap(act, swap, 1, armed.EVER)
  end
end

for _, act in ipairs(list) do
  if is_wanted(act) then
    go_through(act)
  end
end
os.remove(home)
print(("%d cells, %d went wrong"):format(cells, wrong))
os.exit(wrong == 0 and 0 or 1)
