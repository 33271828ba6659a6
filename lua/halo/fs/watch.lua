-- What happens to files and directories, as inotify(7) reports it. The kernel's events become
-- halo's in the order in which they come, one step at a time, so that a cancellation between two
-- steps loses nothing. They come from inotify.lua, by a queue (watch_queue.lua); the directories of
-- a recursive watch are in watch_tree.lua, and its root in watch_root.lua.

local bit = require "bit"
local core = require "halo.core"
local Queue = require "halo.queue"
local WatchRoot = require "halo.fs.watch_root"
local by_path = require "halo.fs.by_path"
local calls = require "halo.fs.calls"
local check = require "halo.fs.check"
local new_watch_tree = require "halo.fs.watch_tree"
local subscribe = require "halo.fs.inotify"
local keys = require "halo.keys"
local scope = require "halo.scope"
local semaphore = require "halo.semaphore"
local wait = require "halo.wait"

local band, bor = bit.band, bit.bor
local IN = core.events

---@class halo.fs
local fs = {}

-- Types and masks -------------------------------------------------------------------------------

---@alias halo.WatchType
---| "create" # is there now; with moved where it came from outside
---| "delete" # is gone; with moved where it went outside
---| "move" # has another name, from and to
---| "modify" # its content was changed
---| "close_write" # was closed after it was open for writing
---| "attrib" # its metadata were changed
---| "open"
---| "access" # was read
---| "close" # was closed, however it was open
---| "overflow" # events were lost, since nobody took them: look for yourself
---| "error" # a directory cannot be watched: message, code
---| "unmount"

local MOVES = bor(IN.MOVED_FROM, IN.MOVED_TO)
local SELF = bor(IN.DELETE_SELF, IN.MOVE_SELF)

local masks = {
  create = bor(IN.CREATE, MOVES),
  delete = bor(IN.DELETE, IN.DELETE_SELF, MOVES),
  move = bor(IN.MOVE_SELF, MOVES),
  modify = IN.MODIFY,
  close_write = IN.CLOSE_WRITE,
  attrib = IN.ATTRIB,
  open = IN.OPEN,
  access = IN.ACCESS,
  close = bor(IN.CLOSE_WRITE, IN.CLOSE_NOWRITE),
}

local DEFAULT_TYPES = { "create", "delete", "move", "modify", "close_write", "attrib" }

---The types that are no more than a word for a bit of the kernel's.
local plain_types = { "modify", "attrib", "close_write", "close", "open", "access" }

local function has(mask, flags)
  return band(mask, flags) ~= 0
end

local function names_of(values)
  local names = {}
  for name in pairs(values) do
    names[#names + 1] = name
  end
  table.sort(names)
  return table.concat(names, ", ")
end

---Which types are wanted, and the mask of the kernel's that it takes.
local function to_mask(types)
  if type(types) ~= "table" then
    check.type_error("events: list of names", types, 2, "watch")
  end
  local key = keys.other(types, #types)
  if key ~= nil then
    check.fail("events: a list of names expected, not " .. keys.name_of(key) .. " =", 2, "watch")
  end
  local wanted, mask = {}, IN.EXCL_UNLINK
  for _, name in ipairs(types) do
    if not masks[name] then
      local problem = "no event '%s', but " .. names_of(masks)
      check.fail(problem:format(tostring(name)), 2, "watch")
    end
    wanted[name] = true
    mask = bor(mask, masks[name])
  end
  return wanted, mask
end

-- Events ----------------------------------------------------------------------------------------

---@class halo.Watch
---@field private inotify halo.Subscriber
---@field private tie userdata which the collector frees with the watch
---@field private tree halo.WatchTree
---@field private root halo.WatchRoot? of a recursive watch
---@field private is_dir boolean of the path that is watched
---@field private wanted table<string, boolean>
---@field private recursive boolean
---@field private queue halo.Queue events for the user
---@field private lock halo.Semaphore for the task that makes the next step
---@field private overflown boolean to be told when all is watched again
---@field private ended boolean nothing more will happen
---@field private closed boolean
---@field private limit string[]? message and code: the system allows no more watches
local Watch = {}
Watch.__index = Watch

function Watch:__tostring()
  return ("watch (%s%s)"):format(self.ended and "closed, " or "", self.tree.root.name)
end

local function report(self, type, node, name, is_dir, moved)
  if self.wanted[type] then
    local path = self.tree.path_of(node, name)
    self.queue:push { type = type, path = path, name = name, is_dir = is_dir, moved = moved }
  end
end

---A directory cannot be watched. If it is gone by now, the kernel tells that as well.
local function report_error(self, path, message, code)
  if code == "ENOSPC" then
    self.limit = { message, code }
  end
  local is_gone = code == "ENOENT" or code == "ENOTDIR" or code == "ELOOP"
  if not is_gone and not self.ended then
    self.queue:push { type = "error", path = path, is_dir = true, message = message, code = code }
  end
end

local function report_plain(self, node, name, mask, is_dir)
  for _, type in ipairs(plain_types) do
    if has(mask, masks[type]) then
      report(self, type, node, name, is_dir)
    end
  end
end

local function on_created(self, node, name, is_dir, moved)
  if not self.tree.note_created(node, name) then
    return
  end
  report(self, "create", node, name, is_dir, moved)
  if is_dir and self.recursive then
    self.tree:add(node, name, true)
  end
end

---@async
local function on_deleted(self, node, name, is_dir, moved)
  if self.tree.note_deleted(node, name) then
    report(self, "delete", node, name, is_dir, moved)
  end
  if is_dir and self.recursive then
    self.tree:remove(node, name, moved)
  end
end

local function report_move(self, from, from_name, node, name, is_dir)
  if self.wanted.move then
    local path_of = self.tree.path_of
    local event = { type = "move", name = name, is_dir = is_dir }
    event.from, event.to = path_of(from, from_name), path_of(node, name)
    event.path = event.to
    self.queue:push(event)
  end
end

---@async
local function on_move(self, from, from_name, node, name, is_dir)
  local known = self.tree.note_deleted(from, from_name)
  if not known then
    on_created(self, node, name, is_dir, true) -- from where nobody knew of it
    return
  end
  self.tree.note_created(node, name)
  report_move(self, from, from_name, node, name, is_dir)
  if is_dir and self.recursive then
    self.tree:move(from, from_name, node, name)
  end
end

---Has the root of a recursive watch looked at: it may have been removed.
---@async
---@param look fun(root: halo.WatchRoot)
local function look_at_root(self, look)
  look(self.root)
  self.tree.root.file = self.root.file
end

---Something befell the path that is watched itself.
---@async
local function on_root(self, root, mask)
  local path, is_dir = root.name, self.is_dir
  if has(mask, IN.DELETE_SELF) and not self.ended then
    report(self, "delete", root, nil, is_dir)
  elseif has(mask, IN.MOVE_SELF) and self.wanted.move then
    self.queue:push { type = "move", path = path, is_dir = is_dir, from = path }
  elseif has(mask, IN.UNMOUNT) then
    self.queue:push { type = "unmount", path = path, is_dir = is_dir }
  else
    report_plain(self, root, nil, mask, is_dir)
  end
  if self.root then
    self.root:note(mask)
    look_at_root(self, self.root.look)
  end
end

---@async
local function on_overflow(self)
  self.overflown = true
  if self.root then
    look_at_root(self, self.root.settle)
    self.tree:rescan()
  end
end

---An event about an entry of a directory; for the first half of a move, with the other one.
---@async
local function on_entry(self, node, mask, name, other)
  local is_dir, other_node = has(mask, IN.ISDIR), other and self.tree:find(other[1])
  if other_node then
    on_move(self, node, name, other_node, other[4], is_dir)
  elseif has(mask, bor(IN.CREATE, IN.MOVED_TO)) then
    on_created(self, node, name, is_dir, has(mask, IN.MOVED_TO) or nil)
  elseif has(mask, bor(IN.DELETE, IN.MOVED_FROM)) then
    on_deleted(self, node, name, is_dir, has(mask, IN.MOVED_FROM) or nil)
  elseif self.tree.is_known(node, name) then
    report_plain(self, node, name, mask, is_dir)
  end
end

---@async
local function on_event(self, event, other)
  local number, mask, name = event[1], event[2], event[4]
  local root, node = self.tree.root, self.tree:find(number)
  if node and name then
    on_entry(self, node, mask, name, other)
    if self.root and node == root then
      self.root:note(mask)
    end
  elseif has(mask, IN.Q_OVERFLOW) then
    on_overflow(self)
  elseif has(mask, IN.IGNORED) then
    self.ended = self.tree:on_ignored(number) == root or self.ended
  elseif node == root then
    on_root(self, root, mask) -- of the other directories their parents tell
  elseif self.root and self.root:concerns(event) then
    look_at_root(self, self.root.look)
  end
end

-- Steps -----------------------------------------------------------------------------------------

---@async
local function take_event(self, event)
  -- Of what comes from a directory that is watched no more, the other half is news by itself.
  local moved = has(event[2], IN.MOVED_FROM) and self.tree:find(event[1])
  local other = moved and self.inotify:other_half(event)
  local queue = self.inotify.queue
  queue:remove(event)
  if other then
    queue:remove(other)
  end
  if event[4] and not has(event[2], IN.ISDIR) then
    on_event(self, event, other) -- which waits for nothing
  else
    scope.shield(on_event, self, event, other)
  end
end

---@async
local function report_overflow(self)
  self.overflown = false
  if self.recursive then
    self.tree:sweep()
  end
  self.queue:push { type = "overflow", path = self.tree.root.name, is_dir = self.is_dir }
  if self.root and not self.root.file and not self.ended then
    self.ended = true -- of which the kernel's word may be lost as well
    report(self, "delete", self.tree.root, nil, self.is_dir)
  end
end

---Waits until inotify has more. False where none will come any more.
---@async
local function wait_for_events(self, seen)
  local goes_on, message, code = self.inotify:wait(seen)
  if goes_on == nil then
    local path = self.tree.root.name
    report_error(self, path, message:match "^%w+: [^:]*" .. ": " .. path, code)
    return true
  end
  return goes_on
end

---Does what comes next towards an event. False where none will come any more.
---@async
local function step(self)
  local inotify = self.inotify
  if self.closed then
    return false
  elseif self.queue:size() > 0 then
    return true -- another task has found one
  elseif self.tree:is_scanning() then
    scope.shield(self.tree.scan_next, self.tree)
    return true
  end
  local seen, event = inotify.delivered, inotify.queue:first()
  if self.overflown then
    scope.shield(report_overflow, self)
  elseif event then
    take_event(self, event)
  elseif self.root and self.root:is_in_doubt() then
    scope.shield(look_at_root, self, self.root.settle)
  else
    return not self.ended and wait_for_events(self, seen)
  end
  return true
end

-- The Watch -------------------------------------------------------------------------------------

---@class halo.WatchEvent
---@field type halo.WatchType
---@field path string beginning with the path that is watched
---@field name string? in its directory; none where it is the path that is watched itself
---@field is_dir boolean
---@field from string? with "move": the path before
---@field to string? with "move": the path now, unknown where what is watched itself has moved
---@field moved boolean? with "create" and "delete": into what is watched, or out of it
---@field message string? with "error"
---@field code string? with "error"

---The next event; nil once the watch is closed, or what it watches is no more. A Watch can be
---called as well: `for event in watch do`.
---@async
---@return halo.WatchEvent?
function Watch:next()
  scope.check_self(self, Watch, "next", "Watch")
  while self.queue:size() == 0 do
    if not self.lock:with(step, self) then
      self:close()
      return nil
    end
  end
  return self.queue:pop()
end

Watch.__call = Watch.next

---@async
local function release(self)
  if self.root then
    self.root:close()
  end
  if self.tree then
    self.tree:close()
  end
  return self.inotify:close()
end

---Ends the watch. A task that waits for an event gets nil.
---@async
---@return true?
---@return string? message
---@return string? code
function Watch:close()
  scope.check_self(self, Watch, "close", "Watch")
  self.ended, self.closed, self.queue = true, true, Queue.new()
  return wait.checked(scope.shield(release, self))
end

-- The start -------------------------------------------------------------------------------------

---What can be done where the system allows no more watches.
local function no_more_watches(path)
  local text = "no more watches are allowed: raise /proc/sys/fs/inotify/max_user_watches"
  return ("ENOSPC: %s: %s"):format(text, path)
end

---@async
local function watch_below(self, file)
  self.root = WatchRoot.new(self.inotify, self.tree.root.number, file)
  self.tree.root.file = file
  self.tree:rescan()
  while not self.limit and self.tree:is_scanning() do
    self.tree:scan_next()
  end
end

---Watches the path and, where that is asked for, all directories below.
---@async
local function start(self, file, path, mask)
  local is_dir, message, code = calls.fstat(file, "is_dir")
  local number
  self.is_dir, self.recursive = is_dir, self.recursive and is_dir
  if is_dir ~= nil then
    local own = self.recursive and WatchRoot.MASK or IN.DELETE_SELF
    number, message, code = self.inotify:watch(file, bor(mask, own))
  end
  if not number then
    return nil, message, code
  end
  local below = bor(band(mask, bit.bnot(SELF)), IN.ONLYDIR)
  self.tree = new_watch_tree(self.inotify, path, number, below, function(...)
    report(self, "create", ...)
  end, function(...)
    report_error(self, ...)
  end)
  if self.recursive then
    watch_below(self, file)
  end
  if self.limit then
    return nil, unpack(self.limit)
  end
  return self
end

---@async
local function new_watch(file, path, wanted, mask, recursive)
  local inotify, message, code = subscribe(path)
  if not inotify then
    return nil, message, code
  end
  local self = setmetatable({
    inotify = inotify,
    tie = inotify:tie(),
    wanted = wanted,
    recursive = recursive or false,
    queue = Queue.new(),
    lock = semaphore(1),
    overflown = false,
    ended = false,
    closed = false,
  }, Watch)
  local ok, watch
  ok, watch, message, code = wait.guard(start, self, file, path, mask)
  if not ok or not watch then
    scope.shield(release, self)
  end
  if not ok then
    error(watch, 0)
  end
  return watch, message, code
end

---@param base halo.File
function by_path.watch(base, path, options)
  check.path(path, 1, "watch")
  options = check.options(options, 2, "watch", { recursive = true, events = "any" })
  local wanted, mask = to_mask(options.events or DEFAULT_TYPES)
  if options.recursive then
    mask = bor(mask, IN.CREATE, MOVES)
  end
  local file, refusal = wait.checked(core.open(base, path, core.flags.PATH))
  if not file then
    core.raise(refusal)
  end
  local ok, watch, message, code = wait.guard(new_watch, file, path, wanted, mask,
    options.recursive)
  if not (ok and watch and watch.root) then
    core.close(file)
  end
  if not ok then
    error(watch, 0)
  elseif not watch then
    core.raise(code == "ENOSPC" and no_more_watches(path) or message)
  end
  return watch
end

---@class halo.WatchOptions
---@field recursive boolean? the directories below too, and those that come to be there
---@field events halo.WatchType[]? what to tell of; all but "open", "access", "close" by default

---Watches a file, or a directory and what is in it:
---
---    for event in fs.watch("src", { recursive = true }) do print(event.type, event.path) end
---
---What the operating system refuses is raised. Once it returns, nothing that happens is missed:
---where there are too many events for the kernel, or more than 16384 that nobody takes, an
---"overflow" tells of it. In a directory that appears under a recursive watch, what is there
---already is reported as created. Symbolic links below the path are not followed. What gets another
---name is watched all the same; the paths of its events still begin with the one that was given.
---
---All watches share one instance of inotify. A recursive one holds its root open, so that the file
---system cannot be unmounted meanwhile.
---@async
---@param path string
---@param options halo.WatchOptions?
---@return halo.Watch
function fs.watch(path, options, ...)
  check.no_more(3, "watch", ...)
  return by_path.watch(core.AT_FDCWD, path, options)
end

return fs
