-- Channels: values from task to task, in order.
--
-- A task that cannot go on leaves an entry in the channel: who it is, and for a sender what it
-- brings; who serves a receiver puts the value there. A select leaves an entry in each of its
-- channels, and the first that is served settles the others: they are passed over, and taken out
-- when the task goes on. An entry that has been served is the task's: what it was given is given,
-- whatever becomes of the task.

local core = require "halo.core"
local Queue = require "halo.queue"
local waiters = require "halo.waiters"

local current, error, park, wake = core.current, error, core.park, core.wake
local push, remove = waiters.push, waiters.remove

local channel = {}

---@class halo.Channel
---@field private capacity integer
---@field private buffer halo.Queue
---@field private senders halo.Waiters
---@field private receivers halo.Waiters
---@field private closed boolean
local Channel = {}
Channel.__index = Channel

local CLOSED = "send on a channel that is closed"

---@class halo.channel.Entry
---@field task halo.Task
---@field value any what a sender brings, or a receiver has been given
---@field closed boolean? the channel was closed meanwhile
---@field choice { served: halo.channel.Entry? }? of a select, shared by its entries
---@field index integer? of the select's case
---@field sends boolean? whether that is one to send

---Lets the first go on that waits: one that another channel has served, or that has been cancelled
---and does not know it yet, is passed over. (By a tail call, since it is rare: a loop that is left
---the first time round is something LuaJIT does not compile.)
---@return halo.channel.Entry?
local function serve(list)
  local entry = list.next
  if entry == list then
    return nil
  end
  local choice = entry.choice
  local served = not (choice and choice.served) and wake(entry.task)
  remove(entry)
  if not served then
    return serve(list)
  elseif choice then
    choice.served = entry
  end
  return entry
end

---@return boolean sent
local function try_send(self, value)
  if self.closed then
    core.raise(CLOSED)
  end
  local receiver = serve(self.receivers)
  if receiver then
    receiver.value = value
    return true
  end
  if self.buffer:size() < self.capacity then
    self.buffer:push(value)
    return true
  end
  return false
end

---@return boolean received, any value nil once the channel is closed and empty
local function try_recv(self)
  if self.buffer:size() > 0 then
    local sender = serve(self.senders)
    local value = self.buffer:pop()
    if sender then
      self.buffer:push(sender.value)
    end
    return true, value
  end
  local sender = serve(self.senders)
  if sender then
    return true, sender.value
  end
  return self.closed, nil
end

---Waits until the entry is served.
---@async
---@return halo.channel.Entry
local function wait(list, value)
  local entry = { task = current(), value = value, next = false, prev = false }
  push(list, entry)
  local ok, err = park "channel"
  if not ok then
    remove(entry)
    error(err, 0)
  end
  return entry
end

---Sends a value, waiting until it is received or the buffer has room for it.
---@async
---@param value any not nil, which is how a receiver learns that the channel is closed
---@return true
function Channel:send(value)
  if value == nil then
    core.raise("bad argument #1 to 'send' "
      .. "(nil cannot be sent: it means that the channel is closed)")
  elseif not try_send(self, value) and wait(self.senders, value).closed then
    core.raise(CLOSED)
  end
  return true
end

---Receives a value, waiting for one.
---@async
---@return any # nil when the channel is closed and empty
function Channel:recv()
  local received, value = try_recv(self)
  if received then
    return value
  end
  return wait(self.receivers).value
end

Channel.__call = Channel.recv

---Says that nothing will be sent any more. Receivers get what is in the buffer, then nil.
---@return true
function Channel:close()
  if self.closed then
    core.raise("this channel is closed already")
  end
  self.closed = true
  for _, list in ipairs { self.receivers, self.senders } do
    local entry = serve(list)
    while entry do
      entry.closed = true
      entry = serve(list)
    end
  end
  return true
end

---@return boolean
function Channel:is_closed()
  return self.closed
end

---Makes a channel.
---@param capacity integer? values that may wait in it; 0 by default: a send waits for its recv
---@return halo.Channel
function channel.channel(capacity)
  capacity = capacity or 0
  if type(capacity) ~= "number" or capacity < 0 or capacity % 1 ~= 0 then
    core.raise("bad argument #1 to 'channel' (a whole number of at least 0 expected)")
  end
  return setmetatable({
    capacity = capacity,
    buffer = Queue.new(),
    senders = waiters.new(),
    receivers = waiters.new(),
    closed = false,
  }, Channel)
end

-- The type comes first: LuaJIT compiles getmetatable() wrongly for the files of io.
local function is_channel(value)
  return type(value) == "table" and getmetatable(value) == Channel
end

---@alias halo.Case halo.Channel|{ [1]: halo.Channel, [2]: any } to receive from, or to send to

---@return integer count
local function check_cases(cases)
  if type(cases) ~= "table" then
    local problem = "bad argument #1 to 'select' (array of cases expected, got %s)"
    core.raise(problem:format(type(cases)))
  end
  local i, case = 1, cases[1]
  while case ~= nil do
    if not is_channel(case)
      and not (type(case) == "table" and is_channel(case[1]) and case[2] ~= nil) then
      local problem = "bad argument #1 to 'select' (case %d is no channel and no {channel, value})"
      core.raise(problem:format(i))
    end
    i = i + 1
    case = cases[i]
  end
  if i == 1 then
    core.raise("bad argument #1 to 'select' (no channel to wait for)")
  end
  return i - 1
end

---Waits until one of the cases is served, which have been checked.
---@async
---@return integer index
---@return halo.channel.Entry
local function wait_for_one(cases, count)
  local task, choice, entries = current(), {}, {}
  for i = 1, count do
    local case = cases[i]
    local sends, value = not is_channel(case), nil
    if sends then
      value = case[2]
    end
    local entry = {
      task = task,
      choice = choice,
      index = i,
      sends = sends,
      value = value,
      next = false,
      prev = false,
    }
    entries[i] = entry
    push(sends and case[1].senders or case.receivers, entry)
  end
  local ok, err = park "select"
  local served = choice.served
  choice.served = served or true -- those that are left cannot be
  for i = 1, count do
    remove(entries[i])
  end
  if not ok then
    error(err, 0)
  end
  return served.index, served
end

---Waits until one of several channels is ready and serves that one alone.
---@async
---@param cases halo.Case[]
---@return integer index of the case
---@return any value what was received; nil from a channel that is closed
function channel.select(cases)
  local count = check_cases(cases)
  for i = 1, count do
    local case = cases[i]
    if is_channel(case) then
      local received, value = try_recv(case)
      if received then
        return i, value
      end
    elseif try_send(case[1], case[2]) then
      return i
    end
  end
  local index, served = wait_for_one(cases, count)
  if not served.sends then
    return index, served.value
  elseif served.closed then
    core.raise(CLOSED)
  end
  return index
end

return channel
