-- Channels: values from task to task, in order.
--
-- A task that cannot go on leaves an entry in the channel: who it is, and for a sender what it
-- brings; a sender that serves a receiver puts the value there. A select leaves an entry in each of
-- its channels, and the first that is served settles the others: they are passed over, and taken
-- out when the task goes on. An entry that has been served is the task's: what it was given is
-- given, whatever becomes of the task.

local check_cancelled = require "halo.cancellation"
local core = require "halo.core"
local keys = require "halo.keys"
local Queue = require "halo.queue"
local check_self = require("halo.scope").check_self
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
  check_self(self, Channel, "send", "Channel")
  if value == nil then
    core.raise("bad argument #1 to 'send' "
      .. "(nil cannot be sent: it means that the channel is closed)")
  end
  check_cancelled()
  if not try_send(self, value) and wait(self.senders, value).closed then
    core.raise(CLOSED)
  end
  return true
end

---Receives a value, waiting for one.
---@async
---@return any # nil when the channel is closed and empty
function Channel:recv()
  check_self(self, Channel, "recv", "Channel")
  check_cancelled()
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
  check_self(self, Channel, "close", "Channel")
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
  check_self(self, Channel, "is_closed", "Channel")
  return self.closed
end

function Channel:__tostring()
  return ("channel (%d of %d%s)"):format(self.buffer:size(), self.capacity,
    self.closed and ", closed" or "")
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

---@class halo.Cases: { [integer]: halo.Case }
---@field timeout number? seconds to wait at most
---@field default true|(fun(): ...)? not to wait, and what is called where no case is ready

local function fail(problem, ...)
  core.raise("bad argument #1 to 'select' (" .. problem:format(...) .. ")")
end

local options = { timeout = true, default = true }

local function check_options(cases, count)
  local key, seconds, default = keys.other(cases, count, options), cases.timeout, cases.default
  if type(key) == "number" then
    fail("%s is no case: they are in [1] to [%d], without a hole", keys.name_of(key), count)
  elseif key ~= nil then
    fail("no option %s, but default, timeout", keys.name_of(key))
  elseif seconds ~= nil and not (type(seconds) == "number" and seconds >= 0) then
    fail("timeout is a number of seconds, not below 0")
  elseif default ~= nil and default ~= true and type(default) ~= "function" then
    fail("default is true or a function, not a %s", type(default))
  elseif seconds and default then
    fail("with a default nothing is waited for, and no timeout can pass")
  end
end

local function check_send(case, i)
  if type(case) ~= "table" or not is_channel(case[1]) or case[2] == nil then
    fail("case %d is no channel and no {channel, value}", i)
  end
  local key = keys.other(case, 2)
  if key ~= nil then
    fail("case %d has %s beside its channel and its value", i, keys.name_of(key))
  end
end

---@return integer count
local function check_cases(cases)
  if type(cases) ~= "table" then
    fail("array of cases expected, got %s", type(cases))
  elseif is_channel(cases) then
    fail "a list expected: halo.select { channel, ... }"
  end
  local i, case = 1, cases[1]
  while case ~= nil do
    if not is_channel(case) then
      check_send(case, i)
    end
    i = i + 1
    case = cases[i]
  end
  check_options(cases, i - 1)
  if i == 1 then
    fail "no channel to wait for"
  end
  return i - 1
end

---Waits until one of the cases is served, which have been checked, or their time is up.
---@async
---@return integer? index nil when the time is up
---@return halo.channel.Entry? served
local function wait_for_one(cases, count, seconds)
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
  local ok, err = park("select", seconds)
  local served = choice.served
  choice.served = served or true -- those that are left cannot be
  for i = 1, count do
    remove(entries[i])
  end
  if not ok then
    error(err, 0)
  elseif not served then
    return nil
  end
  return served.index, served
end

---Waits until one of several channels is ready and serves that one alone: the first in the list of
---those that are ready at once. Beside the cases may stand one of two options.
---
---`timeout = seconds`: gives up then, and nothing has been sent or received.
---
---`default = true` or `default = fn`: does not wait, and no other task runs meanwhile. Where none
---of the cases is ready fn is called, and what it returns is returned.
---@async
---@param cases halo.Cases
---@return integer? index of the case; nil, "ETIMEDOUT: ...", "ETIMEDOUT" when the time is up, and
---nil, "EAGAIN: ...", "EAGAIN" where none is ready and default is true
---@return any value what was received, nil from a channel that is closed; nothing behind a send
---@return string? code
function channel.select(cases)
  local count = check_cases(cases)
  check_cancelled()
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
  local default, seconds = cases.default, cases.timeout
  if default == true then
    return nil, "EAGAIN: no case is ready", "EAGAIN"
  elseif default then
    return default()
  end
  local index, served = wait_for_one(cases, count, seconds)
  if not index then
    return nil, ("ETIMEDOUT: timed out after %g s"):format(seconds), "ETIMEDOUT"
  elseif not served.sends then
    return index, served.value
  elseif served.closed then
    core.raise(CLOSED)
  end
  return index
end

return channel
