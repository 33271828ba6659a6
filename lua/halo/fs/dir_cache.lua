-- A cache of open directories of a tree, each opened by its name in its parent and never through a
-- symbolic link: somebody who changes the tree while halo works in it cannot lead it elsewhere, and
-- no path gets too long.
--
-- All trees that halo works in at a time share one budget of descriptors. A directory that nobody
-- uses stays open as long as there is room; the one that was unused longest is closed first, and
-- opened again, by the same names from the root, when it is needed.
--
-- Nobody waits for a descriptor while holding one. A job takes a slot, which stands for all that it
-- may open, before it opens anything; a tree takes, before it begins, the room for what it keeps
-- open and for one slot, so that it can always go on. Where the process is out of descriptors
-- though the budget is not, a job gives up what it holds and begins again after another one.

local check_cancelled = require "halo.cancellation"
local core = require "halo.core"
local checked = require("halo.wait").checked
local fstat = require("halo.fs.meta").fstat
local guard = require("halo.wait").guard
local waiters = require "halo.waiters"

local flags = core.flags

local BUDGET_MIN, BUDGET_MAX = 12, 256
local SPARED = 16 -- of the process's descriptors; of the others the budget is half
local NEAR_PART = 2 -- of what is free goes to the way to one directory
local LISTABLE = flags.RDONLY + flags.DIRECTORY

---@class halo.fs.Node a directory of the tree
---@field parent halo.fs.Node? nil for the root
---@field name string in the parent; the root's path
---@field users integer who have acquired it and not released it
---@field follow boolean? its name may be that of a symbolic link
---@field base halo.File? where its path is looked up, of one that is not opened in its parent
---@field path string?
---@field id string? what it has to be when it is opened again
---@field file halo.File? while it is open
---@field cache halo.fs.DirCache? while it is open, unless its owner has opened it
---@field next halo.fs.Node|false|nil among the open ones that nobody uses
---@field prev halo.fs.Node|false|nil

---@class halo.fs.DirCache
---@field private pins integer descriptors that it holds from first to last
---@field private each integer descriptors that a slot stands for
---@field private state "new"|"waiting"|"open"
---@field private taken integer of the budget
---@field private slots integer that it has, free ones included
---@field private free integer
---@field private waiting halo.Waiters for a slot
---@field private nodes table<halo.fs.Node, true> that are open
local DirCache = {}
DirCache.__index = DirCache

local dir_cache = {}

-- ---- the budget --------------------------------------------------------------------------------

local total = BUDGET_MIN
local taken = 0 -- by pins and slots
local running = 0 -- slots that are not free
local careless = 0 -- while callbacks run, which may start trees themselves
local unused, unused_count = waiters.new(), 0 -- nodes
local newcomers = waiters.new()
local short = waiters.new() -- of descriptors that the budget says are there

local function entry_of(cache)
  return { task = core.current(), cache = cache, next = false, prev = false }
end

local function has_room(count)
  return taken + count <= total
end

local function take(cache, count)
  taken, cache.taken = taken + count, cache.taken + count
end

---Lets the first of a list go on that is not cancelled.
local function wake_first(list)
  local entry = waiters.pop(list)
  while entry and not core.wake(entry.task) do
    entry = waiters.pop(list)
  end
  return entry
end

---Room has become free: for trees that wait to begin.
local function admit()
  local entry = newcomers.next
  while entry ~= newcomers and (taken == 0 or has_room(entry.cache.need)) do
    waiters.remove(entry)
    if core.wake(entry.task) then
      take(entry.cache, entry.cache.need)
    end
    entry = newcomers.next
  end
end

local function wake_all(list)
  while wake_first(list) do end -- luacheck: ignore 542
end

---Closes the directory that nobody has used for the longest time.
---@async
---@return boolean closed
local function evict()
  local node = waiters.pop(unused)
  if not node then
    return false
  end
  local file = node.file
  unused_count = unused_count - 1
  node.cache.nodes[node] = nil
  node.file, node.cache = nil, nil
  core.close(file)
  return true
end

---Whether a refusal says that descriptors have run out.
function dir_cache.is_scarce(code)
  return code == "EMFILE" or code == "ENFILE"
end
local is_scarce = dir_cache.is_scarce

---Calls fn(...), which opens a file. What nobody uses is closed for it where there is none left.
---@async
function dir_cache.with_room(fn, ...)
  local value, message, code = checked(fn(...))
  while not value and is_scarce(code) and evict() do
    value, message, code = checked(fn(...))
  end
  return checked(value, message, code)
end

---Calls a function of the user's, which may itself work in trees: those must not wait for this one.
---@async
function dir_cache.call_user(fn, ...)
  careless = careless + 1
  local function back(ok, ...)
    careless = careless - 1
    if not ok then
      error((...), 0)
    end
    return ...
  end
  return back(guard(fn, ...))
end

---The same for a file that a tree keeps open: it may wait until a job has ended.
---@async
function dir_cache.pin(fn, ...)
  local value, message, code = dir_cache.with_room(fn, ...)
  while not value and is_scarce(code) and running > 0 and core.can_wait() do
    check_cancelled()
    waiters.wait(short, entry_of(), "descriptors")
    value, message, code = dir_cache.with_room(fn, ...)
  end
  return checked(value, message, code)
end

-- ---- slots -------------------------------------------------------------------------------------

---@param options { pins: integer?, each: integer? }? descriptors that are held from first to last,
---and those that one job may hold at a time, the parent of what it opens included
---@return halo.fs.DirCache
function dir_cache.new(options)
  local pins, each = options and options.pins or 1, options and options.each or 2
  return setmetatable({
    pins = pins,
    each = each,
    need = pins + each,
    state = "new",
    taken = 0,
    slots = 0,
    free = 0,
    waiting = waiters.new(),
    nodes = {},
  }, DirCache)
end

---Waits until there is room for the tree: called before it opens anything, or by the first job.
---@async
function DirCache:begin()
  if self.state ~= "new" then
    return
  end
  self.state = "waiting"
  local half = math.floor((core.file_limit() - SPARED) / 2)
  total = math.max(BUDGET_MIN, math.min(half, BUDGET_MAX))
  local may_wait = careless == 0 and core.can_wait()
  if taken == 0 or not may_wait or has_room(self.need) and newcomers.next == newcomers then
    take(self, self.need)
  else
    check_cancelled()
    waiters.wait(newcomers, entry_of(self), "descriptors")
  end
  self.state, self.slots, self.free = "open", self.slots + 1, self.free + 1
end

local function take_one(self)
  if self.free > 0 then
    self.free = self.free - 1
  elseif newcomers.next == newcomers and has_room(self.each) then
    take(self, self.each)
    self.slots = self.slots + 1
  else
    return false
  end
  running = running + 1
  return true
end

---@async
local function take_slot(self)
  self:begin()
  if take_one(self) then
    return
  elseif careless > 0 or not core.can_wait() then
    take(self, self.each)
    self.slots, running = self.slots + 1, running + 1
    return
  end
  check_cancelled()
  waiters.wait(self.waiting, entry_of(self), "descriptors")
end

---A slot goes to the next job of the tree, or to another tree that has none yet.
---@param in_vain boolean? the job was short of descriptors: those that are too need not try again
local function give_slot(self, in_vain)
  local spare = self.slots > 1
  local wanted_elsewhere = spare and newcomers.next ~= newcomers
  if not wanted_elsewhere and wake_first(self.waiting) then
    return
  end
  running = running - 1
  if spare then
    take(self, -self.each)
    self.slots = self.slots - 1
    admit()
  else
    self.free = self.free + 1
  end
  if not in_vain then
    wake_all(short)
  end
end

-- ---- directories -------------------------------------------------------------------------------

local function hold(node)
  node.users = node.users + 1
  if node.users == 1 and node.next then
    waiters.remove(node)
    unused_count = unused_count - 1
  end
end

local function let_go(node)
  node.users = node.users - 1
  if node.users == 0 and node.cache then
    waiters.push(unused, node)
    unused_count = unused_count + 1
  end
end

---@async
local function open_file(node)
  if node.base then
    return core.open(node.base, node.path, LISTABLE)
  elseif node.parent then
    local how = node.follow and LISTABLE or LISTABLE + flags.NOFOLLOW
    return core.open(node.parent.file, node.name, how)
  end
  return core.open(node.name, LISTABLE)
end

---Whether what was opened again is the same as before; where it is not, that one is gone.
---@async
local function check_same(file, node)
  local id, message, code = fstat(file, "id")
  if id and id ~= node.id then
    return nil, "ENOENT: no such file or directory: " .. node.name, "ENOENT"
  end
  return id, message, code
end

---Opens a directory whose parent, where it has one, is open and in use.
---@async
local function open(self, node)
  while unused_count > 0 and unused_count + taken > total do
    evict()
  end
  local file, message, code = dir_cache.with_room(open_file, node)
  local same = file
  if file and node.id then
    same, message, code = check_same(file, node)
  end
  if not file then
    return nil, message, code
  elseif not same then
    core.close(file)
    return nil, message, code
  elseif node.file then
    core.close(file) -- another task was faster
  else
    node.file, node.cache = core.as_base(file), self
    self.nodes[node] = true
  end
  return true
end

---@async
local function close(self, node)
  local file = node.file
  if node.next then
    waiters.remove(node)
    unused_count = unused_count - 1
  end
  self.nodes[node] = nil
  node.file, node.cache = nil, nil
  core.close(file)
end

---Closes a directory that will not be needed; nothing happens where it is not open, or in use.
---@async
function DirCache:close(node)
  if node.cache and node.users == 0 then
    close(self, node)
  end
end

---Of a long way only the end stays open: there it will go on, and it must not drive out the rest.
---@async
local function let_go_on_way(self, node, is_near)
  let_go(node)
  if not is_near then
    self:close(node)
  end
end

---Opens a directory and those above it that are not open. All but itself are let go of.
---@async
local function open_all(self, node)
  local missing, above = { node }, node.parent
  while above and not above.file do
    missing[#missing + 1] = above
    above = above.parent
  end
  if above then
    hold(above)
  end
  local near = math.max(2, (total - taken) / NEAR_PART)
  for i = #missing, 1, -1 do
    local inner = missing[i]
    hold(inner)
    local ok, message, code = true, nil, nil
    if not inner.file then
      ok, message, code = open(self, inner)
    end
    if above then
      let_go_on_way(self, above, i == #missing or i < near)
    end
    above = inner
    if not ok then
      let_go(above)
      return nil, message, code
    end
  end
  let_go(node)
  return true
end

---@async
local function use(self, node)
  hold(node)
  if not node.file then
    local ok, message, code = open_all(self, node)
    if not ok then
      let_go(node)
      return nil, message, code
    end
  end
  return true
end

---@async
local function use_both(self, node, other)
  local ok, message, code = use(self, node)
  if ok and other then
    ok, message, code = use(self, other)
    if not ok then
      let_go(node)
      return nil, message, code, other
    end
  end
  return ok, message, code, node
end

---Lets go of a job's slot until another job has ended, and takes one again. Returns false where
---there is no other job: then nothing of halo's own is in the way but what the job needs itself,
---and to close that and open it again would go on for ever.
---@async
local function stand_back(self)
  if running <= 1 or not core.can_wait() then
    return false
  end
  give_slot(self, true)
  if running > 0 then
    check_cancelled()
    waiters.wait(short, entry_of(self), "descriptors")
  end
  take_slot(self)
  return true
end

---The file of a directory, and of another one where a job needs both; they stay open until they are
---released. A job acquires nothing while it holds something.
---@async
---@param node halo.fs.Node
---@param other halo.fs.Node?
---@return halo.File?
---@return any other's file, or the message
---@return string? code
---@return halo.fs.Node? refused which of the two
function DirCache:acquire(node, other)
  take_slot(self)
  local ok, message, code, refused = use_both(self, node, other)
  while not ok and is_scarce(code) and stand_back(self) do
    ok, message, code, refused = use_both(self, node, other)
  end
  if not ok then
    give_slot(self)
    return nil, message, code, refused
  end
  return node.file, other and other.file
end

---Says that directories that were acquired are not used any more.
function DirCache:release(node, other)
  let_go(node)
  if other then
    let_go(other)
  end
  give_slot(self)
end

---For a job that was told, while it held directories, that there are no descriptors left: releases
---them and acquires them again once there may be. Returns nothing where there is no hope for that.
---@async
---@return halo.File?
---@return any other's file, or the message
---@return string? code
function DirCache:again(node, other)
  if evict() then
    return node.file, other and other.file
  end
  let_go(node)
  if other then
    let_go(other)
  end
  local hope = stand_back(self)
  give_slot(self, hope)
  if hope then
    return self:acquire(node, other)
  end
  return nil
end

---Closes all directories, once nothing of the tree is under way any more; the tree keeps its room.
---In a task that was cancelled the closes are carried out, and raise all the same.
function DirCache:reset()
  local node = next(self.nodes)
  while node do
    pcall(close, self, node)
    node = next(self.nodes)
  end
  running = running - (self.slots - self.free)
  if self.state == "open" then
    take(self, self.need - self.taken)
    self.slots, self.free = 1, 1
  end
  admit()
  wake_all(short)
end

---Closes all and gives the room back.
function DirCache:close_all()
  self:reset()
  take(self, -self.taken)
  self.state, self.slots, self.free = "new", 0, 0
  admit()
  wake_all(short)
end

return dir_cache
