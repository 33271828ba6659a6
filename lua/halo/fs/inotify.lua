-- The one inotify(7) instance of a runtime, which all watches share: the system allows a user few
-- instances, and many watches. It comes with the first watch and is closed with the last.
--
-- A file has one number, however many watch it: the kernel then tells what any of them wants, and
-- each subscriber gets what is his. There is no task for reading. One of those who wait for events
-- is the reader: it waits for the instance, and puts what comes into the queues of all; the others
-- are woken when there is something for them, or to be the reader when the former one has left.
--
-- Reading and removing are plain calls during which nobody else runs. Only to watch a file may
-- wait. The number that it will give may be in use already, so nothing is removed meanwhile.

local bit = require "bit"
local core = require "halo.core"
local WatchQueue = require "halo.fs.watch_queue"
local calls = require "halo.fs.calls"
local errors = require "halo.fs.errors"
local scope = require "halo.scope"
local wait = require "halo.wait"
local waiters = require "halo.waiters"

local band, bor = bit.band, bit.bor
local newproxy = select(2, ...) -- scripts may not have it
local IN = core.events

local GRACE_S = 0.02 -- between the two halves of a move, which the kernel tells one after the other
local REMOVED_MAX = 1000 -- between two reads, since the kernel reports each
local ALWAYS = bor(IN.IGNORED, IN.UNMOUNT, IN.Q_OVERFLOW) -- is told, whatever was asked for

---@class halo.Inotify
---@field file halo.File
---@field bell halo.File watched, so that to ring it wakes the reader
---@field bell_number integer
---@field by_number table<integer, halo.Subscriber|halo.Subscriber[]>
---@field subscribers table<halo.Subscriber, true>
---@field adding table<halo.Subscriber, true> who waits for a number
---@field unused table<integer, true> numbers to be removed when nobody does
---@field reader halo.Subscriber|false who waits for the instance
---@field waiting halo.Waiters the other ones who wait
---@field forgotten boolean? there are subscribers whom nobody knows any more

---What one watch has of the instance.
---@class halo.Subscriber
---@field queue halo.WatchQueue
---@field private inotify halo.Inotify
---@field private numbers table<integer, true>
---@field private mask integer all that it is told
---@field delivered integer counts what was put into the queue
---@field private entry table? among those that wait
---@field private closed boolean
---@field private forgotten boolean? by its owner, and not closed
local Subscriber = {}
Subscriber.__index = Subscriber

---Holds the instance for as long as somebody else does.
local shared = setmetatable({}, { __mode = "v" })

-- Handing events on -----------------------------------------------------------------------------

local function deliver(self, event)
  if band(event[2], self.mask) == 0 or self.closed then
    return
  end
  self.queue:push(event)
  self.delivered = self.delivered + 1
  if self.entry then
    waiters.remove(self.entry)
    core.wake(self.entry.task)
  end
end

---@param whom halo.Subscriber|halo.Subscriber[]
local function deliver_to(whom, event)
  if whom.queue then
    return deliver(whom, event)
  end
  for _, subscriber in ipairs(whom) do
    deliver(subscriber, event)
  end
end

local function deliver_to_all(subscribers, event)
  for subscriber in pairs(subscribers) do
    deliver(subscriber, event)
  end
end

---What concerns all, or nobody who is known.
local function hand_on_rest(inotify, event, whom)
  local number, mask = event[1], event[2]
  if band(mask, IN.Q_OVERFLOW) ~= 0 then
    deliver_to_all(inotify.subscribers, event)
  elseif band(mask, IN.IGNORED) ~= 0 then
    inotify.by_number[number] = nil
    deliver_to_all(inotify.adding, event) -- it may be what one of them is about to be given
  elseif not whom and number ~= inotify.bell_number and not next(inotify.adding) then
    core.unwatch(inotify.file, number) -- whoever asked for it was cancelled
  end
end

local function hand_on(inotify, event)
  local whom = inotify.by_number[event[1]]
  if whom then
    deliver_to(whom, event)
  end
  if not whom or band(event[2], IN.IGNORED) ~= 0 then
    hand_on_rest(inotify, event, whom)
  end
end

---Reads what there is.
local function read(inotify)
  repeat
    local events, more = core.read_events(inotify.file)
    local now = core.now()
    for _, event in ipairs(events) do
      event.read_at = now
      hand_on(inotify, event)
    end
  until not more
end

-- Numbers ---------------------------------------------------------------------------------------

local function subscribe(self, number)
  local by_number = self.inotify.by_number
  local whom = by_number[number]
  self.numbers[number] = true
  if not whom then
    by_number[number] = self
  elseif whom.queue and whom ~= self then
    by_number[number] = { whom, self }
  elseif not whom.queue then
    for _, subscriber in ipairs(whom) do
      if subscriber == self then
        return
      end
    end
    table.insert(whom, self)
  end
end

local function unsubscribe(self, number)
  local by_number = self.inotify.by_number
  local whom = by_number[number]
  self.numbers[number] = nil
  if whom == self then
    by_number[number] = nil
  elseif whom and not whom.queue then
    for i = #whom, 1, -1 do
      if whom[i] == self then
        table.remove(whom, i)
      end
    end
    by_number[number] = #whom > 1 and whom or whom[1]
  end
end

---Removes a number that nobody has subscribed to.
local function remove_unused(inotify, number)
  if inotify.by_number[number] then
    return
  elseif next(inotify.adding) then
    inotify.unused[number] = true
  else
    core.unwatch(inotify.file, number)
  end
end

local function remove_all_unused(inotify)
  local numbers = inotify.unused
  inotify.unused = {}
  for number in pairs(numbers) do
    remove_unused(inotify, number)
  end
end

---Closes those that were forgotten.
---@async
local function bury(inotify)
  if not inotify.forgotten then
    return
  end
  inotify.forgotten = nil
  local forgotten = {}
  for subscriber in pairs(inotify.subscribers) do
    if subscriber.forgotten then
      table.insert(forgotten, subscriber)
    end
  end
  for _, subscriber in ipairs(forgotten) do
    subscriber:close()
  end
end

---Watches a file. Where that is done already, the number is the same.
---@async
---@param file halo.File
---@param mask integer of core.events
---@return integer? number
---@return string? message
---@return string? code
function Subscriber:watch(file, mask)
  local inotify = self.inotify
  bury(inotify)
  inotify.adding[self] = true
  self.mask = bor(self.mask, mask)
  local wanted = bor(mask, IN.MASK_ADD)
  local ok, number, message, code = wait.guard(core.watch, file, inotify.file, wanted)
  inotify.adding[self] = nil
  if ok and number then
    subscribe(self, number)
    if self.closed then
      self:unwatch(number)
    end
  end
  if next(inotify.unused) and not next(inotify.adding) then
    remove_all_unused(inotify)
  end
  if not ok then
    error(number, 0)
  end
  return wait.checked(number, message, code)
end

---Ends a watch. Others who have the same file go on.
---@param number integer
function Subscriber:unwatch(number)
  unsubscribe(self, number)
  remove_unused(self.inotify, number)
end

-- Waiting ---------------------------------------------------------------------------------------

---Somebody who waits has to be the reader.
local function pass_on(inotify)
  while not inotify.reader do
    local entry = waiters.pop(inotify.waiting)
    if not entry or core.wake(entry.task) then
      return
    end
  end
end

---Waits until there is something to read, and hands it on. No event fits into one byte, so that a
---read of one is refused and takes nothing: it may be cancelled.
---@async
---@return nil
---@return string? message where it could not wait
---@return string? code
local function wait_as_reader(self, inotify)
  local is_reader = not inotify.reader
  if is_reader then
    inotify.reader = self
  end
  local ok, err, message, code = wait.guard(core.read, inotify.file, 1)
  if is_reader then
    inotify.reader = false
  end
  read(inotify)
  if code == "EINVAL" then
    return
  end
  pass_on(inotify)
  if not ok then
    error(err, 0)
  end
  if core.is_open(inotify.file) then
    return wait.checked(err, message, code)
  end
  self.closed = true
end

---Waits until the reader has something for this one, or has left.
---@async
local function wait_for_reader(self, inotify)
  local entry = { task = core.current(), next = false, prev = false }
  self.entry = entry
  waiters.push(inotify.waiting, entry)
  local ok, err = core.park "watch"
  self.entry = nil
  waiters.remove(entry)
  if not ok and scope.is_cancelled(err) then
    error(err, 0)
  elseif not ok then
    return wait_as_reader(self, inotify) -- a place where a task cannot wait for others
  end
end

---Waits until more was delivered than the caller has seen. False where this one was closed.
---@async
---@param seen integer
---@return boolean? # nil where it could not wait
---@return string? message
---@return string? code
function Subscriber:wait(seen)
  local inotify = self.inotify
  local message, code, _
  bury(inotify)
  while self.delivered == seen and not self.closed and not code do
    if inotify.reader and core.current() then
      _, message, code = wait_for_reader(self, inotify)
    else
      _, message, code = wait_as_reader(self, inotify)
    end
  end
  pass_on(inotify)
  if code and self.delivered == seen then
    return nil, message, code
  end
  return not self.closed
end

---Has all in the queue that has happened until now.
function Subscriber:sync()
  read(self.inotify)
end

---Looks a little longer for what may follow an event.
---@async
local function wait_longer(self, event, seen)
  local left = event.read_at + GRACE_S - core.now()
  return left > 0 and core.current() and scope.timeout(left, self.wait, self, seen)
end

---The other half of a move, nil where it led out of what is watched.
---@async
---@param event halo.InotifyEvent a MOVED_FROM
---@return halo.InotifyEvent?
function Subscriber:other_half(event)
  local other, seen
  repeat
    seen = self.delivered
    other = self.queue:other_half(event)
  until other or not wait_longer(self, event, seen)
  return other or self.queue:other_half(event)
end

-- The end ---------------------------------------------------------------------------------------

---Ends all watches. The kernel reports each, so that these reports have to be read in between.
---@async
local function unwatch_all(self)
  local count = 0
  for number in pairs(self.numbers) do
    self:unwatch(number)
    count = count + 1
    if count % REMOVED_MAX == 0 then
      read(self.inotify)
      core.yield()
    end
  end
end

---@async
local function close_instance(inotify)
  calls.close(inotify.bell)
  return calls.close(inotify.file)
end

---Ends it. Who waits for an event of it finds none.
---@async
---@return true?
---@return string? message
---@return string? code
function Subscriber:close()
  local inotify = self.inotify
  if self.closed or not core.is_open(inotify.file) then
    self.closed = true
    return true
  end
  self.closed = true
  inotify.subscribers[self] = nil
  if self.entry then
    waiters.remove(self.entry)
    core.wake(self.entry.task)
  end
  if next(inotify.subscribers) then
    if inotify.reader == self then
      core.ring(inotify.bell)
    end
    scope.shield(unwatch_all, self)
    return true
  end
  if shared.inotify == inotify then
    shared.inotify = nil
  end
  return scope.shield(close_instance, inotify)
end

---What the owner keeps, so that the collector tells when it has been forgotten.
---@return userdata
function Subscriber:tie()
  local tie = newproxy(true)
  local metatable = getmetatable(tie)
  metatable.__metatable = "tie" -- a script's finalizer would run where nothing stops it
  function metatable.__gc()
    self.forgotten, self.inotify.forgotten = true, true
  end
  return tie
end

---The instance, which is made where there is none.
---@return halo.Inotify?
---@return string? message
---@return string? code
local function get_inotify(path)
  if shared.inotify and core.is_open(shared.inotify.file) then
    return shared.inotify
  end
  local file, bell, number = core.inotify(path)
  if not file then
    local message, code = bell, number
    if code == "ENOENT" then
      return errors.refuse(code, "/proc is not mounted, which watching needs", path)
    end
    return nil, message, code
  end
  local inotify = {
    file = file,
    bell = bell,
    bell_number = number,
    by_number = {},
    subscribers = {},
    adding = {},
    unused = {},
    reader = false,
    waiting = waiters.new(),
  }
  shared.inotify = inotify
  return inotify
end

---@param path string what it is for
---@return halo.Subscriber?
---@return string? message
---@return string? code
return function(path)
  local inotify, message, code = get_inotify(path)
  if not inotify then
    return nil, message, code
  end
  local self = setmetatable({
    inotify = inotify,
    queue = WatchQueue.new(),
    numbers = {},
    mask = ALWAYS,
    delivered = 0,
    closed = false,
  }, Subscriber)
  inotify.subscribers[self] = true
  return self
end
